"""The words of an event, in order, each short enough for a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...values.display_text import clean, text_columns
from ..recognition.transcript import TranscriptEvent, TranscriptWord
from .cue import LINE_COLUMNS

_WORD = re.compile(r"\s*\S+")


def timed_words(event: TranscriptEvent) -> Iterator[TranscriptWord]:
    """Without control characters; never ending before they begin, nor beginning before the one before.

    A translation has no words: its time is shared out among its letters.
    """
    start_s = event.start_s
    text = joined_text(event)
    for word in event.words or _spread(start_s, event.end_s, _WORD.findall(text)):
        text = clean(word.text).replace("\n", " ").replace("\t", " ")
        start_s = max(start_s, word.start_s)
        end_s = max(start_s, word.end_s)
        if text.strip():
            yield from _spread(start_s, end_s, _pieces(text))


def joined_text(event: TranscriptEvent) -> str:
    """Its text with the space before it that belongs between it and the final before, if any does."""
    if event.words:
        return clean("".join(word.text for word in event.words))
    text = clean(event.text)
    return text if _is_wide(text[:1]) else f" {text}"


def _is_wide(text: str) -> bool:
    """Chinese, Japanese, Korean."""
    return text_columns(text) > 1.5 * len(text)


def _spread(start_s: float, end_s: float, pieces: list[str]) -> Iterator[TranscriptWord]:
    """Each piece gets the share of the time that it has of the letters."""
    a_letter_s = max(end_s - start_s, 0.0) / max(sum(map(len, pieces)), 1)
    position = 0
    for piece in pieces:
        begin_s, position = start_s + position * a_letter_s, position + len(piece)
        yield TranscriptWord(piece, begin_s, start_s + position * a_letter_s, 1.0)


def _pieces(text: str) -> list[str]:
    """A word that is too long for a line, or text without spaces, where a line may end anywhere."""
    columns = text_columns(text.strip())
    if columns <= 2 or (columns <= LINE_COLUMNS and not _is_wide(text)):
        return [text]
    length = 1 if _is_wide(text) else LINE_COLUMNS // 2
    pieces: list[str] = []
    for piece in (text[n : n + length] for n in range(0, len(text), length)):
        if pieces and not (piece.strip() and pieces[-1].strip()):
            pieces[-1] += piece  # a space alone is no cue
        else:
            pieces.append(piece)
    return pieces
