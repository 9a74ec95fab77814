"""Sound that is in memory already, as a numpy array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import OptionInvalid
from .block import SPEECH_RATE_HZ, AudioBlock, as_float
from .mono import MonoMixer
from .resampler import Resampler
from .speech_blocks import BLOCK_MS, SpeechBlocks

_MOST_CHANNELS = 64


class ArraySource:
    """Samples of any width, (n,), (n, channels) or (channels, n); can be iterated again and again.

    Integers use their whole range. Floats are in [-1, 1], or on the scale of integers.
    """

    def __init__(
        self, samples: NDArray[np.generic], rate_hz: int = SPEECH_RATE_HZ, *, block_ms: int = BLOCK_MS
    ) -> None:
        """Raises OptionInvalid for an array that is no sound, AudioFormatUnsupported for an absurd rate."""
        if samples.dtype.kind not in "iuf" or samples.ndim not in (1, 2) or not samples.size:
            raise _no_sound(samples)
        frames = samples.reshape(-1, 1) if samples.ndim == 1 else samples
        self._frames = frames.T if frames.shape[0] < frames.shape[1] else frames
        if self._frames.shape[1] > _MOST_CHANNELS:
            raise _no_sound(samples)
        Resampler(rate_hz)  # refuses a rate that cannot be resampled
        self.duration_s = len(self._frames) / rate_hz
        self._rate_hz, self._block_ms = rate_hz, block_ms

    def __iter__(self) -> Iterator[AudioBlock]:
        blocks, mixer = SpeechBlocks(self._block_ms), MonoMixer()
        for start in range(0, len(self._frames), self._rate_hz):
            frames = as_float(self._frames[start : start + self._rate_hz])
            yield from blocks.push(mixer.mix(frames, self._rate_hz), self._rate_hz)
        yield from blocks.finish()


def _no_sound(samples: NDArray[np.generic]) -> OptionInvalid:
    return OptionInvalid(
        f"source: an array of {samples.dtype} {samples.shape} is no sound",
        hint=f"give integers or floats, (n,) or (n, up to {_MOST_CHANNELS} channels), and rate_hz=",
        option="source",
    )
