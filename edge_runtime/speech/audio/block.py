"""A piece of sound with its position in the stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SPEECH_RATE_HZ = 16_000  # what Silero and Whisper were trained on
_QUIET_SAMPLES = SPEECH_RATE_HZ // 50

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AudioBlock:
    samples: Samples  # (n,), mono, [-1, 1]
    start_sample: int  # position in the stream, at rate_hz, from 0; counts what was lost as well
    rate_hz: int = SPEECH_RATE_HZ
    dropped_samples: int = 0  # lost just before this block; 0 when keeping up

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class AudioSource(Protocol):
    """Anything that gives mono sound at 16 kHz, in order and without overlap."""

    @property
    def duration_s(self) -> float | None:
        """Seconds of sound; None where it is not known."""

    def __iter__(self) -> Iterator[AudioBlock]: ...


def mix_to_mono(frames: NDArray[np.float32]) -> Samples:
    """(frames, channels) in [-1, 1] -> (frames,) in [-1, 1], mean of channels."""
    if frames.shape[1] == 1:
        return frames[:, 0]
    mixed: Samples = frames.mean(axis=1, dtype=np.float32)
    return mixed


def as_float(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Samples of any width -> float32, same shape. Silence for what is not a number.

    Integers are taken to use their whole range, unsigned ones around its middle: they end up in
    [-1, 1]. Floats stay what they are.
    """
    if values.dtype.kind == "f":
        finite: NDArray[np.float32] = np.nan_to_num(values.astype(np.float32), posinf=1.0, neginf=-1.0)
        return finite
    half_range = 2.0 ** (8 * values.dtype.itemsize - 1)
    middle = half_range if values.dtype.kind == "u" else 0.0
    scaled: NDArray[np.float32] = ((values.astype(np.float64) - middle) / half_range).astype(np.float32)
    return scaled


def quietest_sample(samples: Samples, start_s: float, end_s: float) -> int:
    """Where the quietest 20 ms of [start_s, end_s) begin, at 16 kHz: between two words, if anything is.

    The end of the sound where that leaves nothing.
    """
    start = round(start_s * SPEECH_RATE_HZ)
    between = samples[start : round(end_s * SPEECH_RATE_HZ)]
    frames = between[: len(between) // _QUIET_SAMPLES * _QUIET_SAMPLES].reshape(-1, _QUIET_SAMPLES)
    if not len(frames):
        return len(samples)
    return start + int(np.square(frames).sum(axis=1).argmin()) * _QUIET_SAMPLES
