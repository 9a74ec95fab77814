"""Text on a terminal: clean, wrapped at words, with notes that do not mix with the answer."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO

from ...values.display_text import clean, one_line, padded, text_columns
from .streams import replace_unknown

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_TAB_COLUMNS = 8


class WordWrap:
    """Breaks lines at spaces, as text streams by. Lines inside ``` fences stay whole.

    Holds back the word under way: it may not fit on this line.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._column = 0
        self._spaces, self._word, self._line_start = "", "", ""
        self._fenced = False

    def push(self, text: str) -> str:
        return "".join(self._push(character) for character in text)

    def finish(self) -> str:
        """What was held back."""
        return self._place_word() + self._take_spaces()

    def _push(self, character: str) -> str:
        if character == "\n":
            return self._end_line()
        if character in " \t":
            placed = self._place_word()
            self._spaces += character
            return placed
        placed = self._take_spaces() if self._column == 0 else ""
        self._word += character
        if text_columns(self._word) >= self._columns:  # longer than a line: the terminal breaks it
            placed += self._place_word()
        return placed

    def _end_line(self) -> str:
        placed = self._place_word() + self._take_spaces()
        if self._line_start.lstrip().startswith("```"):
            self._fenced = not self._fenced
        self._column, self._line_start = 0, ""
        return placed + "\n"

    def _place_word(self) -> str:
        word, self._word = self._word, ""
        if not word:
            return ""
        fits = self._column + self._spaces_columns() + text_columns(word) <= self._columns
        if fits or self._fenced or self._column == 0:
            return self._take_spaces() + self._advance(word)
        self._spaces, self._column = "", 0
        return "\n" + self._advance(word)

    def _take_spaces(self) -> str:
        spaces, self._spaces = self._spaces, ""
        return self._advance(spaces)

    def _advance(self, text: str) -> str:
        if len(self._line_start) < 16:  # enough to see a fence
            self._line_start += text
        self._column += text_columns(text) + text.count("\t") * (_TAB_COLUMNS - 1)
        return text

    def _spaces_columns(self) -> int:
        return len(self._spaces) + self._spaces.count("\t") * (_TAB_COLUMNS - 1)


class Screen:
    """Answers to `out`, everything else to `notes`.

    To a terminal text goes clean and wrapped; to a file or a pipe exactly as it is.
    """

    def __init__(self, out: TextIO | None = None, notes: TextIO | None = None) -> None:
        self.out, self.notes = out or sys.stdout, notes or sys.stderr
        self.is_terminal = self.out.isatty()
        self.has_notes_terminal = self.notes.isatty()
        self._styled = self.has_notes_terminal and can_style()
        self._wrap: WordWrap | None = None
        self._ends_line = True
        if isinstance(self.out, TextIOWrapper):
            if self.is_terminal:
                replace_unknown(self.out)  # a Latin-1 terminal and an emoji
            else:
                self.out.reconfigure(encoding="utf-8", newline="\n")
                replace_unknown(self.out)

    def show(self, piece: str) -> None:
        """A piece of an answer, seen at once."""
        if self.is_terminal:
            if self._wrap is None:
                self._wrap = WordWrap(terminal_columns())
            piece = self._wrap.push(clean(piece))
        self._write(piece)

    def end_answer(self) -> None:
        """The answer is over: a newline. On a terminal, only if it has not ended its line itself."""
        self._release()
        if not self.is_terminal or not self._ends_line:
            self._write("\n")

    def break_answer(self) -> None:
        """The answer failed: what was shown stays, on a line of its own."""
        self._release()
        if not self._ends_line:
            self._write("\n")

    def _release(self) -> None:
        if self._wrap is not None:
            self._write(self._wrap.finish())
            self._wrap = None

    def _write(self, text: str) -> None:
        if text:
            self.out.write(text)
            self.out.flush()
            self._ends_line = text.endswith("\n")

    def line(self, text: str = "") -> None:
        """A line on `out` that is not part of an answer."""
        print(clean(text) if self.is_terminal else text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """A line for the person, never part of an answer."""
        print(self._wrapped(text), file=self.notes, flush=True)

    def faint(self, text: str) -> None:
        """A note of less weight."""
        shown = self._wrapped(text)
        print(f"{_DIM}{shown}{_PLAIN}" if self._styled else shown, file=self.notes, flush=True)

    def _wrapped(self, text: str) -> str:
        if not self.has_notes_terminal:
            return clean(text)
        wrap = WordWrap(terminal_columns())
        return wrap.push(clean(text)) + wrap.finish()

    @contextmanager
    def busy(self, label: str) -> Iterator[_BusyLine]:
        """A line that shows `label`, and a percentage once it is known, and is gone afterwards."""
        line = _BusyLine(self.notes if self.has_notes_terminal else None, label)
        try:
            line.show(label)
            yield line
        finally:
            line.erase()


class _BusyLine:
    """Works with carriage returns alone, so that a dumb terminal shows it too."""

    def __init__(self, stream: TextIO | None, label: str) -> None:
        self._stream, self._label = stream, label
        self._percent = -1
        self._shown_columns = 0
        self._lock = threading.Lock()  # progress comes from the engine's thread

    def advance(self, part: float) -> None:
        """0.0 to 1.0."""
        percent = int(100 * part)
        if percent != self._percent:
            self._percent = percent
            self.show(f"{self._label} {percent} %")

    def show(self, text: str) -> None:
        with self._lock:
            if self._stream is not None:
                room = terminal_columns() - 1
                shown = one_line(text, room)
                self._stream.write("\r" + padded(shown, min(self._shown_columns, room)))
                self._stream.flush()
                self._shown_columns = text_columns(shown)

    def erase(self) -> None:
        with self._lock:
            if self._stream is not None and self._shown_columns:
                self._stream.write("\r" + " " * min(self._shown_columns, terminal_columns() - 1) + "\r")
                self._stream.flush()
            self._stream = None


@contextmanager
def control_echo_off() -> Iterator[None]:
    """Keep Ctrl-C from writing "^C" into the answer.

    Typed text is still echoed: a process that is killed meanwhile leaves a usable terminal.
    """
    if termios is None or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    quiet = [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]]
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def terminal_columns() -> int:
    """80 when the terminal does not say, at least 20, and at most 1000: COLUMNS may say anything."""
    return min(max(shutil.get_terminal_size().columns, 20), 1000)


def can_style() -> bool:
    """https://no-color.org, and terminals that know no escape sequences."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    return sys.platform != "win32" or "WT_SESSION" in os.environ
