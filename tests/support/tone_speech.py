"""Speech without a model: words are tones of constant level, and the recognizer knows the levels.

Unlike scripted_speech, it survives a file of 16-bit samples: everything between the file and the
screen is the real thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from support.sounds import wav_bytes
from support.speech_parts import LoudSpeech, recognition

from edge_runtime.speech.audio import Samples
from edge_runtime.speech.recognition.recognizer import Recognition, RecognitionOptions, RecognizedWord
from edge_runtime.speech.runtime import SpeechRuntime

RATE_HZ = 16_000
_WORD_S, _GAP_S, _PAUSE_S = 0.36, 0.04, 1.0
_STEP = 0.004
_WORDS: list[str] = []  # word n is heard at level (n + 1) * _STEP


def saying(text: str) -> Samples:
    """Each word takes 0.4 s; after a full stop, a second of silence."""
    pieces = [np.zeros(RATE_HZ // 2)]
    for word in text.split():
        if word not in _WORDS:
            _WORDS.append(word)
        level = (_WORDS.index(word) + 1) * _STEP
        assert level < 1, "there is no room for more words"
        pieces += [np.full(round(_WORD_S * RATE_HZ), level)]
        pieces += [np.zeros(round((_PAUSE_S if word.endswith(".") else _GAP_S) * RATE_HZ))]
    return np.concatenate(pieces).astype(np.float32)


def pcm(text: str) -> bytes:
    """16-bit samples, low byte first."""
    return (saying(text) * 32767).round().astype("<i2").tobytes()


def write_saying(path: Path, text: str) -> Path:
    path.write_bytes(wav_bytes(np.frombuffer(pcm(text), "<i2"), RATE_HZ))
    return path


class ToneRecognizer:
    """Tells the tones apart; what is shorter than half a word is not heard."""

    sample_rate_hz = RATE_HZ
    longest_s = 30.0
    languages = ("en", "fr")

    def __init__(self) -> None:
        self.closed = False

    def recognize(
        self,
        samples: Samples,
        options: RecognitionOptions | None = None,
        *,
        prefix: Sequence[int] = (),
        draft: Sequence[int] = (),
    ) -> Recognition:
        options = options or RecognitionOptions()
        words = _heard(samples)
        if options.translate:
            words = [RecognizedWord(f" the{w.text}", w.start_s, w.end_s, 0.9, w.tokens) for w in words]
        return recognition(words, options)

    def detect_language(self, samples: Samples) -> tuple[str, float]:
        return "en", 1.0

    def close(self) -> None:
        self.closed = True


def _heard(samples: Samples) -> list[RecognizedWord]:
    words, position = [], 0
    for level, run in groupby(np.rint(samples / _STEP).astype(int).tolist()):
        start, position = position, position + len(list(run))
        if 0 < level <= len(_WORDS) and position - start > _WORD_S * RATE_HZ / 2:
            times_s = start / RATE_HZ, position / RATE_HZ
            words.append(RecognizedWord(f" {_WORDS[level - 1]}", *times_s, 0.9, (level,)))
    return words


def tone_speech() -> SpeechRuntime:
    return SpeechRuntime(ToneRecognizer(), lambda: LoudSpeech(_STEP / 2))
