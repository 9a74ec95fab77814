"""Speech without a model: words are tones of constant level, and the recognizer knows the levels.

Unlike scripted_speech, it survives a file of 16-bit samples: everything between the file and the
screen is the real thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from support.sounds import wav_bytes
from support.speech_parts import LoudSpeech, recognition

from edge_runtime.speech.audio import AudioBlock, Samples
from edge_runtime.speech.recognition.recognizer import Recognition, RecognitionOptions, RecognizedWord
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent
from edge_runtime.speech.runtime import SpeechRuntime

RATE_HZ = 16_000
TALK = "good morning everybody. this is the second sentence. and a third one."
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


def known_words() -> str:
    """In the order of their levels: another process that says them hears what this one says."""
    return " ".join(_WORDS)


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


class Talk:
    """A source that can be watched: sentence after sentence, without end if asked."""

    duration_s = None

    def __init__(self, text: str = TALK, *, endless: bool = False, error: Exception | None = None) -> None:
        self._samples, self._endless, self._error = saying(text), endless, error
        self.blocks = 0

    def __iter__(self) -> Iterator[AudioBlock]:
        position = 0
        while position == 0 or self._endless:
            for start in range(0, len(self._samples), 1_600):
                samples = self._samples[start : start + 1_600]
                self.blocks += 1
                yield AudioBlock(samples, position)
                position += len(samples)
        if self._error is not None:
            raise self._error


def text_of(events: Iterable[TranscriptEvent]) -> str:
    return " ".join(event.text for event in events if event.kind is EventKind.FINAL and event.text)
