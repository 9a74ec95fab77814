"""Streaming resampling from a source's rate to that of speech models."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import AudioFormatUnsupported
from .block import SPEECH_RATE_HZ, Samples
from .libraries import load_soxr

# Below, one sample becomes dozens; above is no sound card. A file's header may claim anything.
RATES_HZ = 2_000, 768_000  # lowest and highest
_NOTHING = np.zeros(0, np.float32)


class Resampler:
    """Mono sound at rate_hz -> mono sound at 16 kHz.

    After finish(), n samples have become n * 16000 / rate_hz, rounded, however they were cut
    up. Until then up to 0.12 s (at 8 kHz; 0.04 s at 44.1 and 48 kHz) is held back.
    At 16 kHz nothing is changed or held back, and soxr is not needed.
    """

    def __init__(self, rate_hz: int) -> None:
        """Raises AudioFormatUnsupported for a rate outside 2 to 768 kHz, or when soxr is missing."""
        lowest_hz, highest_hz = RATES_HZ
        if not lowest_hz <= rate_hz <= highest_hz:
            raise AudioFormatUnsupported(
                f"a rate of {rate_hz} Hz is not between {lowest_hz} and {highest_hz}",
                hint="convert the sound to 16000 Hz",
                rate_hz=rate_hz,
            )
        self.rate_hz = rate_hz
        self._stream: Any = None
        if rate_hz != SPEECH_RATE_HZ:
            self._stream = load_soxr(rate_hz).ResampleStream(rate_hz, SPEECH_RATE_HZ, 1, dtype="float32")

    def push(self, samples: Samples) -> Samples:
        """(n,) at rate_hz -> what is ready, (m,) in [-1, 1] at 16 kHz; m may be 0."""
        return self._resample(samples, last=False)

    def finish(self) -> Samples:
        """What was held back. The next sample begins a new stream."""
        rest = self._resample(_NOTHING, last=True)
        if self._stream is not None:
            self._stream.clear()
        return rest

    def _resample(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        return np.clip(resampled, -1, 1, out=resampled)  # a filter overshoots at steep edges
