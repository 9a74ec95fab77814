"""Sentences on a screen, broken at spaces."""

from __future__ import annotations

import re
import sys

from ...values.display_text import clean, text_columns
from .terminal import terminal_columns

PIPE_COLUMNS = 80  # of text that goes to a file or to another program
_MOST_COLUMNS = 80  # longer lines are hard to read, however wide the terminal is
_SPACES = re.compile(r"[ \t\n]+")
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
_INSIDE_A_SIZE = re.compile(r"(?<=\d) (?=[KMGT]?i?B\b)")


def page_columns() -> int:
    """How wide a table on stdout may be."""
    return terminal_columns() if sys.stdout.isatty() else PIPE_COLUMNS


def wrapped(text: str, *, first: str = "", indent: str = "  ", columns: int | None = None) -> list[str]:
    """Clean lines of at most `columns`; default: 80, or less where the terminal is narrower.

    first: what the first line begins with; indent: what all others do. A word is never broken:
    one that is longer than a line gets a line of its own. A size stays with its unit, and
    what no-break spaces hold together, together.
    """
    columns = columns or min(page_columns(), _MOST_COLUMNS)
    lines, line, is_empty = [], first, True
    text = _INSIDE_A_SIZE.sub(_NO_BREAK_SPACE, clean(text).strip(" \t\n"))
    for word in _SPACES.split(text):
        if not is_empty and text_columns(line) + 1 + text_columns(word) > columns:
            lines.append(line)
            line, is_empty = indent, True
        line += word if is_empty else f" {word}"
        is_empty = False
    return [one.replace(_NO_BREAK_SPACE, " ") for one in (*lines, line)]
