"""Gain for the voice detector: speech far below the usual level is raised to where it is noticed."""

from __future__ import annotations

import numpy as np

from ..audio import SPEECH_RATE_HZ, Samples

# Silero notices speech down to -50 dB of full scale; Whisper reads it down to -70.
_QUIET_RMS = 10 ** (-40 / 20)  # a recording whose loudest sound is above stays as it is
_WANTED_RMS = 10 ** (-30 / 20)
_MOST_GAIN = 10 ** (40 / 20)
_FALL_DB_PER_S = 0.25  # of the level once it was louder: pauses of a conversation change little
_LEAST_RMS = 1e-7


class QuietGain:
    """One for each stream. By the loudest sound lately, so that within a sentence nothing changes; what
    is louder counts at once, so that nothing is raised too far."""

    def __init__(self) -> None:
        self._level_rms = 0.0

    def apply(self, frames: Samples) -> Samples:
        """(n, size), those that follow -> (n, size), the very same where the sound is not quiet."""
        rms = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))  # (n,)
        levels = np.empty(len(frames))
        kept = 10 ** (-_FALL_DB_PER_S * frames.shape[1] / SPEECH_RATE_HZ / 20)
        for n, value in enumerate(rms.tolist()):
            self._level_rms = levels[n] = max(self._level_rms * kept, value)
        is_quiet = levels <= _QUIET_RMS
        if not is_quiet.any():
            return frames
        gains = np.clip(_WANTED_RMS / np.maximum(levels, _LEAST_RMS), 1.0, _MOST_GAIN)
        raised: Samples = frames * np.where(is_quiet, gains, 1.0)[:, None].astype(np.float32)
        return np.clip(raised, -1, 1, out=raised)
