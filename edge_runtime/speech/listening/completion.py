"""Recognition of speech that the recognizer left out.

Whisper leaves out what is in another language, ends early where a sentence comes twice, and is
stopped where it writes in a loop. By itself, what is missing is recognized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import Recognition, RecognizedWord
from .gates import is_believable_piece

Words = tuple[RecognizedWord, ...]

# Less speech without a word is no sign of anything: times are not exact.
UNWRITTEN_S = 1.5
UNWRITTEN_BEFORE_S = 2.0  # before a word, and between two
_MOST_TRIES = 12  # of 28 s: "no, no, no" for 15 s took 6


class Part(NamedTuple):
    """Words of one language. Times count from the start of the whole piece."""

    words: Words
    language: str


class Completion:
    """Recognizes by itself each stretch of a piece of speech that has no words."""

    def __init__(self, recognize: Callable[[Samples], Recognition]) -> None:
        self._recognize = recognize
        self._tries = 0

    def complete(self, samples: Samples, words: Words, language: str) -> list[Part]:
        """`samples`, (n,), with as many of its words as are known, and what else is said in it."""
        parts: list[Part] = []
        known: list[RecognizedWord] = []
        end_s = 0.0
        for word in words:
            if word.start_s - end_s >= UNWRITTEN_BEFORE_S:
                parts += [Part(tuple(known), language), *self._between(samples, end_s, word.start_s)]
                known = []
            known.append(word)
            end_s = max(end_s, word.end_s)
        parts.append(Part(tuple(known), language))
        length_s = len(samples) / SPEECH_RATE_HZ
        if not words or length_s - end_s >= UNWRITTEN_S:
            parts += self._between(samples, end_s, length_s)
        return joined([part for part in parts if part.words])

    def _between(self, samples: Samples, start_s: float, end_s: float) -> list[Part]:
        stretch = samples[round(start_s * SPEECH_RATE_HZ) : round(end_s * SPEECH_RATE_HZ)]
        if not len(stretch) or self._tries >= _MOST_TRIES:
            return []
        self._tries += 1
        found = self._recognize(stretch)
        if not found.words or not is_believable_piece(found, len(stretch) / SPEECH_RATE_HZ):
            return []
        parts = self.complete(stretch, found.words, found.language)
        return [Part(moved(part.words, start_s), part.language) for part in parts]


def joined(parts: Sequence[Part]) -> list[Part]:
    """Neighbours of one language become one."""
    together: list[Part] = []
    for part in parts:
        if together and together[-1].language == part.language:
            part = Part(together.pop().words + part.words, part.language)
        together.append(part)
    return together


def moved(words: Sequence[RecognizedWord], seconds: float) -> Words:
    return tuple(replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds) for word in words)
