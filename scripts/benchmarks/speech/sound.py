"""Sound for the measurements, made out of clips or of numbers, as 16-bit WAV files."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from edge_runtime.bench.speech import SpeechClip
from edge_runtime.speech.audio import SPEECH_RATE_HZ, AudioFile, Samples

_ROOM = 3e-4  # RMS of the noise between two clips: -70 dB
_PAUSES_S = (0.3, 1.5)  # between sentences, and between speakers
_FRAME = SPEECH_RATE_HZ // 100
_LOUD_DB = 35  # below the loudest 10 ms: the last such frame ends the last word
_HUM_HZ = (50, 100, 150, 250)


def read_samples(path: Path) -> Samples:
    """(n,) in [-1, 1]."""
    return np.concatenate([block.samples for block in AudioFile(path)])


def write_wav(path: Path, parts: Iterable[Samples]) -> float:
    """-> its seconds."""
    count = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_RATE_HZ)
        for part in parts:
            file.writeframes((np.clip(part, -1, 1) * 32767).astype("<i2").tobytes())
            count += len(part)
    return count / SPEECH_RATE_HZ


def room(seconds: float, random: np.random.Generator, rms: float = _ROOM) -> Samples:
    return (random.standard_normal(round(seconds * SPEECH_RATE_HZ)) * rms).astype(np.float32)


def hum(seconds: float, rms: float = 0.05) -> Samples:
    """Of mains: 50 Hz and some of its harmonics."""
    times_s = np.arange(round(seconds * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ
    tones = sum(np.sin(2 * np.pi * hertz * times_s) / n for n, hertz in enumerate(_HUM_HZ, 1))
    scaled: Samples = (tones / np.std(tones) * rms).astype(np.float32)
    return scaled


def make_talk(
    path: Path, clips: Sequence[SpeechClip], seconds: float, seed: int = 5
) -> tuple[float, list[SpeechClip]]:
    """Clip after clip with pauses of 0.3 to 1.5 s between them, from the first again until it is long
    enough. -> seconds, and the clips as they came."""
    used: list[SpeechClip] = []
    length_s = write_wav(path, _talk(clips, seconds, np.random.default_rng(seed), used))
    return length_s, used


def _talk(
    clips: Sequence[SpeechClip], seconds: float, random: np.random.Generator, used: list[SpeechClip]
) -> Iterator[Samples]:
    length = 0
    for clip in cycle(clips):
        if length >= seconds * SPEECH_RATE_HZ:
            return
        part = np.concatenate([read_samples(clip.path), room(random.uniform(*_PAUSES_S), random)])
        used.append(clip)
        length += len(part)
        yield part


def cut_after_last_word(samples: Samples) -> Samples:
    """Without what is quieter than 35 dB below the loudest, after the last that is not."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)  # (frames, 10 ms)
    level = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(level > level.max() / 10 ** (_LOUD_DB / 20))
    return samples[: (loud[-1] + 1) * _FRAME]
