"""Live captions on a terminal, redrawn in place: final words plainly, others faintly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO

from ...speech.captions import TextJoiner
from ...speech.recognition.transcript import EventKind, TranscriptEvent
from ...values.display_text import clean, graphemes, text_columns
from .terminal import can_style

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_TO_END = "\x1b[J"  # erase from the cursor to the end of the screen

Character = tuple[str, bool]  # a character, and whether it is faint
Row = tuple[int, int]  # where it begins and ends in the text


def can_redraw(out: TextIO) -> bool:
    """Whether `out` is a terminal that moves its cursor and knows faint text."""
    return out.isatty() and can_style()


class LiveCaptions:
    """Rows that can no longer change are left to the terminal's own scrolling."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._joiner = TextJoiner()
        self._final = ""  # what is final in the row under way
        self._partial = ""
        self._drawn: list[int] = []  # columns of the rows that can be drawn again
        self._shown = ""

    def take(self, event: TranscriptEvent) -> None:
        added = clean(self._joiner.take(event))
        self._partial = ""
        if event.kind is EventKind.PARTIAL:
            self._partial = _one_space(clean(event.text), after=self._final)
        *ended, self._final = (self._final + added).split("\n")
        self._draw(ended)

    def show_status(self, text: str) -> None:
        """Faint text where a partial would be, until the next event."""
        self._partial = _one_space(clean(text), after=self._final)
        self._draw([])

    def close(self) -> None:
        """Take the partial away, and end the line."""
        ended = [self._final] if self._final else []
        self._final = self._partial = ""
        self._draw(ended)

    def _draw(self, ended: Sequence[str]) -> None:
        """One write: the rows that can change are erased and drawn again. `ended`: whole lines."""
        size = shutil.get_terminal_size()
        columns = max(size.columns - 1, 1)  # in the last one, terminals differ
        settled = [row for line in ended for row in _texts(_plain(line), columns)]
        final = _plain(self._final)
        characters = final + [(character, True) for character in graphemes(self._partial)]
        rows = _rows(characters, columns)
        while len(rows) > 1 and rows[1][0] < len(final):
            start, end = rows.pop(0)
            settled.append(_painted(characters[start:end]))
            cut = rows[0][0]
            final, characters = final[cut:], characters[cut:]
            rows = [(start - cut, end - cut) for start, end in rows]
        self._final = "".join(character for character, _ in final)
        rows = rows[-max(size.lines - 1, 1) :]
        text = "\n".join(_painted(characters[start:end]) for start, end in rows)
        self._write("".join(f"{row}\n" for row in settled), text, columns + 1)
        self._drawn = [_columns(characters[start:end]) for start, end in rows]

    def _write(self, settled: str, text: str, terminal_width: int) -> None:
        if settled or text != self._shown:
            # A terminal that became narrower has broken our rows.
            height = sum(1 + max(width - 1, 0) // terminal_width for width in self._drawn)
            up = f"\x1b[{height - 1}A" if height > 1 else ""
            self._out.write(f"\r{up}{_TO_END}{settled}{text}")
            self._out.flush()
            self._shown = text


def _one_space(text: str, *, after: str) -> str:
    words = " ".join(text.split())
    return f" {words}" if after and words else words


def _plain(text: str) -> list[Character]:
    return [(character, False) for character in graphemes(text)]


def _texts(characters: list[Character], columns: int) -> Iterator[str]:
    for start, end in _rows(characters, columns):
        yield _painted(characters[start:end])


def _rows(characters: Sequence[Character], columns: int) -> list[Row]:
    """Broken at spaces and beside wide characters; a word that is too long, anywhere."""
    rows: list[Row] = []
    start = width = 0
    break_at = 0  # where the next row would begin
    for position, (character, _) in enumerate(characters):
        cells = text_columns(character)
        if character == " " or cells == 2:
            break_at = position if cells == 2 else position + 1
        if width + cells > columns and character != " ":
            break_at = break_at if break_at > start else position
            rows.append((start, _end(characters, start, break_at)))
            start = break_at
            width = _columns(characters[start:position])
        width += cells
        if cells == 2:
            break_at = position + 1
    return [*rows, (start, len(characters))]


def _end(characters: Sequence[Character], start: int, end: int) -> int:
    """Without the space that the break takes the place of."""
    while end > start + 1 and characters[end - 1][0] == " ":
        end -= 1
    return end


def _columns(characters: Sequence[Character]) -> int:
    return sum(text_columns(character) for character, _ in characters)


def _painted(characters: Sequence[Character]) -> str:
    runs = (
        (faint, "".join(character for character, _ in run))
        for faint, run in groupby(characters, lambda character: character[1])
    )
    return "".join(f"{_DIM}{text}{_PLAIN}" if faint else text for faint, text in runs)
