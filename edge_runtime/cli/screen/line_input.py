"""Reading messages from a terminal: line editing, several lines, pasted text."""

from __future__ import annotations

import os
import select
import sys
from io import TextIOWrapper
from typing import Any

from .interrupts import Interrupts
from .terminal import Screen

_PROMPT, _CONTINUATION = "> ", ". "
_FENCE = '"""'
_PASTE_GAP_S = 0.05  # lines of a paste follow each other faster than anyone presses Enter


class LineDropped(Exception):
    """The user pressed Ctrl-C. `had_text`: there was something to drop."""

    def __init__(self, had_text: bool) -> None:
        super().__init__()
        self.had_text = had_text


class LineInput:
    """With readline where Python has it; what is typed is remembered in memory only."""

    def __init__(self, screen: Screen, interrupts: Interrupts) -> None:
        self._screen, self._interrupts = screen, interrupts
        # readline writes its prompt to stdout: not into a file that wants the answers.
        self._readline = _load_readline() if screen.is_terminal else None
        self._marks_pastes = self._readline is not None and _mark_pastes(self._readline)
        self._put_back: list[str] = []
        self._had_text = False
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")

    def read_message(self) -> str:
        """One message or command.

        A line that ends in a backslash goes on in the next, and so do the lines
        between two triple quotes. Raises EOFError for Ctrl-D and LineDropped for Ctrl-C.
        """
        self._had_text = False
        self._interrupts.clear()
        try:
            with self._interrupts.during(self._drop_line):
                return self._read_message()
        except KeyboardInterrupt:
            self._put_back.clear()
            raise LineDropped(self._had_text) from None

    def _read_message(self) -> str:
        typed_ahead = bool(self._put_back) or _is_waiting(0)
        text = self._put_back.pop(0) if self._put_back else self._read_line(_PROMPT)
        if text.startswith("/"):
            return text
        if text.lstrip().startswith(_FENCE):
            return self._read_block(text.lstrip().removeprefix(_FENCE))
        while text.endswith("\\"):
            self._had_text = True
            more = self._read_more()
            text = text[:-1] + "\n" + (more or "")
            if more is None:
                break
        if not self._marks_pastes and not typed_ahead:
            text = self._add_pasted(text)
        return text

    def _read_block(self, text: str) -> str:
        self._had_text = True
        while not text.rstrip().endswith(_FENCE):
            more = self._read_more()
            if more is None:
                return text
            text += "\n" + more
        return text.rstrip().removesuffix(_FENCE).removeprefix("\n").removesuffix("\n")

    def _add_pasted(self, text: str) -> str:
        """Where the terminal does not say what was pasted: what comes at once belongs together."""
        while _is_waiting(_PASTE_GAP_S):
            more = self._read_more()
            if more is None:
                break
            if more.startswith("/"):  # a script that types ahead, not a paste
                self._put_back.append(more)
                break
            text += "\n" + more
        return text

    def _read_more(self) -> str | None:
        """None: Ctrl-D, which ends a message of several lines."""
        try:
            return self._read_line(_CONTINUATION)
        except EOFError:
            return None

    def _read_line(self, prompt: str) -> str:
        if self._screen.is_terminal:
            return input(prompt)
        print(prompt, end="", file=self._screen.notes, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    def _drop_line(self) -> None:
        """In the signal handler, while input() waits: there the line is still known."""
        if self._readline is not None and self._readline.get_line_buffer():
            self._had_text = True
        raise KeyboardInterrupt


def _load_readline() -> Any:
    """Importing it is what makes input() use it. None: this Python has none."""
    try:
        import readline
    except ImportError:
        return None
    return readline


def _mark_pastes(readline: Any) -> bool:
    """Have the terminal mark what is pasted, so that its newlines do not send it line by line.

    libedit, which some Pythons have in readline's place, cannot; nor can a dumb terminal.
    """
    if "libedit" in (readline.__doc__ or "") or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    readline.parse_and_bind("set enable-bracketed-paste on")
    return True


def _is_waiting(timeout_s: float) -> bool:
    """Whether a line can be read without waiting for the user."""
    if sys.platform == "win32":  # select takes sockets only
        return False
    try:
        return bool(select.select([sys.stdin], [], [], timeout_s)[0])
    except (OSError, ValueError):
        return False
