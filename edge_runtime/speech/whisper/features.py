"""Log-mel features, the input of Whisper.

Source: openai/whisper, whisper/audio.py, log_mel_spectrogram (hop and window lengths, the floor at
1e-10, the 80 dB below the loudest, the scale); the filters are Slaney's, as librosa.filters.mel
makes them (Auditory Toolbox, 1998).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..audio import SPEECH_RATE_HZ, Samples

HOP_SAMPLES = 160
FRAMES_PER_S = SPEECH_RATE_HZ // HOP_SAMPLES
MOST_FRAMES = 30 * FRAMES_PER_S
_WINDOW_SAMPLES = 400
_HALF_WINDOW = _WINDOW_SAMPLES // 2  # frames are centred on their position
_FLOOR = 1e-10
_SILENT = math.log10(_FLOOR)
_FRAMES_AT_ONCE = 500  # 3 MB of spectra
_RANGE = 8.0  # powers of ten below the loudest number that still count

_BREAK_HZ, _HZ_PER_MEL = 1000.0, 200.0 / 3  # mel is linear below the break, logarithmic above
_MEL_STEP = math.log(6.4) / 27


def frame_count(samples: int) -> int:
    """Frames that so many samples fill."""
    return -(-samples // HOP_SAMPLES)


class LogMel:
    """Features of one piece of sound after the other.

    A piece that begins like the one before, as a growing segment does, costs only its new frames.
    """

    def __init__(self, bins: int) -> None:
        self._filters = mel_filters(bins)
        turn = 2 * np.pi * np.arange(_WINDOW_SAMPLES) / _WINDOW_SAMPLES
        self._window = (0.5 - 0.5 * np.cos(turn)).astype(np.float32)
        self._samples: Samples = np.zeros(0, np.float32)  # of the piece before
        self._settled = np.zeros((0, bins), np.float32)  # its frames that more sound does not change

    def features(self, samples: Samples, frames: int) -> NDArray[np.float32]:
        """(n,) in [-1, 1] at 16 kHz -> (1, bins, frames), silence after the sound's end.

        `frames` is at least frame_count(n).
        """
        raw = self._powers(samples, frames)  # (frames, bins)
        scaled = (np.maximum(raw, raw.max() - _RANGE) + 4) / 4
        return np.ascontiguousarray(scaled.T, np.float32)[None]

    def forget(self) -> None:
        """Drop what was kept of the last piece."""
        self._samples, self._settled = self._samples[:0], self._settled[:0]

    def _powers(self, samples: Samples, frames: int) -> NDArray[np.float32]:
        """(frames, bins) logarithms to base 10."""
        known = self._known(samples)
        touched = min(frames, frame_count(len(samples) + _HALF_WINDOW))
        powers = np.full((frames, len(self._filters.T)), _SILENT, np.float32)
        powers[:known] = self._settled[:known]
        padded = _padded(samples, frames)
        for first in range(known, touched, _FRAMES_AT_ONCE):
            end = min(first + _FRAMES_AT_ONCE, touched)
            powers[first:end] = self._transform(padded, first, end)
        settled = max(0, (len(samples) - _HALF_WINDOW - 1) // HOP_SAMPLES + 1)
        self._samples, self._settled = samples.copy(), powers[:settled].copy()
        return powers

    def _known(self, samples: Samples) -> int:
        count = len(self._samples)
        same = count <= len(samples) and np.array_equal(self._samples, samples[:count])
        return len(self._settled) if same else 0

    def _transform(self, padded: Samples, first: int, end: int) -> NDArray[np.float32]:
        """(end - first, bins)"""
        piece = padded[first * HOP_SAMPLES : (end - 1) * HOP_SAMPLES + _WINDOW_SAMPLES]
        windows = np.lib.stride_tricks.sliding_window_view(piece, _WINDOW_SAMPLES)[::HOP_SAMPLES]
        spectrum = np.fft.rfft(windows * self._window, axis=1)  # (frames, 201)
        energy = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        powers: NDArray[np.float32] = np.log10(np.maximum(energy @ self._filters, np.float32(_FLOOR)))
        return powers


def _padded(samples: Samples, frames: int) -> Samples:
    """The sound, silence up to the context's end, and both ends mirrored by half a window."""
    silence = np.zeros(frames * HOP_SAMPLES - len(samples), np.float32)
    return np.pad(np.concatenate((samples, silence)), _HALF_WINDOW, mode="reflect")


def mel_filters(bins: int) -> NDArray[np.float32]:
    """(201, bins) triangles of equal area between 0 Hz and 8 kHz."""
    edges = _hz(np.linspace(0.0, _mel(SPEECH_RATE_HZ / 2), bins + 2))  # (bins + 2,)
    tones = np.linspace(0.0, SPEECH_RATE_HZ / 2, _HALF_WINDOW + 1)[:, None]  # (201, 1)
    rising = (tones - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - tones) / (edges[2:] - edges[1:-1])
    heights = 2.0 / (edges[2:] - edges[:-2])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)) * heights, np.float32)


def _mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _HZ_PER_MEL
    return _BREAK_HZ / _HZ_PER_MEL + math.log(hz / _BREAK_HZ) / _MEL_STEP


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    break_mel = _BREAK_HZ / _HZ_PER_MEL
    above = _BREAK_HZ * np.exp(_MEL_STEP * (mel - break_mel))
    return np.where(mel < break_mel, mel * _HZ_PER_MEL, above)
