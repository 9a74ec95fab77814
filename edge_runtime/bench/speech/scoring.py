"""Word error rates of transcripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ...errors import EngineUnavailable

_WITHOUT_SPACES = ("zh", "yue", "ja", "th", "lo", "my")  # letters count as words there
_ELLIPSIS = re.compile(r"\.{2,}")
_LOOP_TIMES = 3


@dataclass(frozen=True)
class WordErrors:
    said: int = 0
    substituted: int = 0
    deleted: int = 0
    inserted: int = 0

    @property
    def rate(self) -> float | None:
        """Errors for each word that was said: above 1 where much was invented. None: nothing was said."""
        errors = self.substituted + self.deleted + self.inserted
        return errors / self.said if self.said else None

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def require_scoring() -> None:
    """Raises EngineUnavailable where the packages are missing. Loads none: they take memory."""
    for name in ("jiwer", "whisper_normalizer"):
        if find_spec(name) is None:
            raise _missing(f"no module named {name}")


def normalize(text: str, language: str) -> str:
    """As Whisper's authors compare transcripts; accents are folded everywhere.

    English: contractions, spelling and numbers as well. An ellipsis counts for nothing; alone,
    the English normalizer would leave one of its dots as a word.
    Source: openai/whisper, whisper/normalizers, in the package whisper-normalizer.
    """
    normalized: str = _normalizer(language)(_ELLIPSIS.sub(" ", text))
    return " ".join(normalized.split())


def count_errors(said: str, heard: str) -> WordErrors:
    """Of two normalized texts."""
    words = said.split()
    if not words:
        return WordErrors(inserted=len(heard.split()))
    found = _load("jiwer").process_words(" ".join(words), heard)
    return WordErrors(len(words), found.substitutions, found.deletions, found.insertions)


def find_loops(text: str, said: str = "") -> list[str]:
    """Phrases that stand three times in a row, each where it begins; but for those that were said so.

    Both normalized.
    """
    meant = set(_loops(said.split()))
    return [phrase for phrase in _loops(text.split()) if phrase not in meant]


def _loops(words: Sequence[str]) -> Iterator[str]:
    place = 0
    while place < len(words):
        size = next((size for size in _sizes(words, place) if _repeats(words, place, size)), 0)
        if size:
            yield " ".join(words[place : place + size])
            while _repeats(words, place, size):
                place += size
        place += 1


def _sizes(words: Sequence[str], place: int) -> range:
    return range(1, (len(words) - place) // _LOOP_TIMES + 1)


def _repeats(words: Sequence[str], place: int, size: int) -> bool:
    """Whether the phrase stands there so often."""
    if place + size * _LOOP_TIMES > len(words):
        return False
    rest = words[place + size : place + size * _LOOP_TIMES]
    return list(rest) == list(words[place : place + size]) * (_LOOP_TIMES - 1)


@cache
def _normalizer(language: str) -> Any:
    if language == "en":
        return _load("whisper_normalizer.english").EnglishTextNormalizer()
    basic = _load("whisper_normalizer.basic").BasicTextNormalizer
    return basic(remove_diacritics=True, split_letters=language in _WITHOUT_SPACES)


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise _missing(str(error)) from error


def _missing(found: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"comparing transcripts needs the packages jiwer and whisper-normalizer: {found}",
        hint='pip install "edge-runtime[bench]"',
    )
