"""Channels mixed to one, as a stream."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .block import Samples, mix_to_mono

# Channels without anything in common lose 1/n of their power in the mean, a voice in one of them as much:
# below a tenth of that they cancel each other out.
_CANCELS = 0.1
_CLEARLY = 4.0  # times the power: 6 dB, so that noise does not switch back and forth
_MEMORY_S = 0.2
_FADE_S = 0.02
_SILENT = 1e-10  # of full scale, power
# Nothing is recorded 18 dB above full scale: such numbers are integers that were stored as floats.
_HIGHEST_FLOAT = 8.0
_MORE_THAN_ERRORS = 0.01  # of the samples: fewer are damage
_INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)


class MonoMixer:
    """Mean of the channels; where they cancel each other out, of channels turned the same way round.

    One for each stream: whether to turn a channel is decided by the last fifth of a second, and done
    within 20 ms, so that nothing clicks. Floats on the scale of integers are divided down to [-1, 1].
    """

    def __init__(self) -> None:
        self._scale = 1.0
        self._covariance: NDArray[np.float64] | None = None
        self._signs: NDArray[np.float32] | None = None  # none: the plain mean

    def mix(self, frames: NDArray[np.float32], rate_hz: int) -> Samples:
        """(n, channels) -> (n,) in [-1, 1]."""
        frames = self._in_range(frames)
        if frames.shape[1] == 1 or not len(frames):
            return mix_to_mono(frames)
        is_first = self._covariance is None
        before, self._signs = self._signs, self._choose_signs(frames, rate_hz)
        mixed = _mix(frames, self._signs)
        if is_first or _is_same(before, self._signs):
            return mixed
        count = min(len(mixed), round(_FADE_S * rate_hz))
        rising = np.linspace(0, 1, count, dtype=np.float32)
        mixed[:count] = rising * mixed[:count] + (1 - rising) * _mix(frames[:count], before)
        return mixed

    def _in_range(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes = np.abs(frames)
        peak = float(sizes.max(initial=0.0))
        if self._scale < peak <= _INTEGER_SCALES[-1] and np.mean(sizes > _HIGHEST_FLOAT) > _MORE_THAN_ERRORS:
            self._scale = max(self._scale, next(scale for scale in _INTEGER_SCALES if peak <= scale))
        if self._scale == 1.0 and peak <= 1.0:
            return frames
        clipped: NDArray[np.float32] = np.clip(frames / np.float32(self._scale), -1, 1)
        return clipped

    def _choose_signs(self, frames: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32] | None:
        now = frames.T.astype(np.float64) @ frames / len(frames)  # (channels, channels)
        if self._covariance is None or self._covariance.shape != now.shape:
            self._covariance, self._signs = now, None
        else:
            kept = math.exp(-len(frames) / (_MEMORY_S * rate_hz))
            self._covariance = kept * self._covariance + (1 - kept) * now
        power = np.diag(self._covariance)
        if power.max() < _SILENT:
            return self._signs
        signs = np.where(self._covariance[power.argmax()] < 0, -1, 1).astype(np.float32)
        plain, turned = _power(self._covariance, np.ones_like(signs)), _power(self._covariance, signs)
        if self._signs is not None:
            return None if plain > _CLEARLY * turned else self._signs
        cancels = plain < _CANCELS * power.mean() / len(power) and turned > _CLEARLY * plain
        return signs if cancels else None


def _power(covariance: NDArray[np.float64], signs: NDArray[np.float32]) -> float:
    return float(signs @ covariance @ signs) / len(signs) ** 2


def _mix(frames: NDArray[np.float32], signs: NDArray[np.float32] | None) -> Samples:
    return mix_to_mono(frames if signs is None else frames * signs)


def _is_same(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
