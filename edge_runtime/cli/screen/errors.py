"""Errors and problems on a terminal: the message, and a hint."""

from __future__ import annotations

import sys

from ...errors import EdgeRuntimeError
from ...values.display_text import clean
from .option_words import OPTION_OF, option_words
from .sentences import wrapped
from .terminal import terminal_columns


def print_error(error: EdgeRuntimeError) -> None:
    """On stderr, wrapped where that is a terminal."""
    print(error_text(error, terminal_columns() if sys.stderr.isatty() else None), file=sys.stderr)


def error_text(error: EdgeRuntimeError, columns: int | None = None) -> str:
    """In the words of the command line: --budget where the library says budget=."""
    text, keyword = str(error), str(error.facts.get("option", ""))
    if keyword not in OPTION_OF and text.startswith(f"{keyword}: "):  # an option of the command line alone
        text = f"--{keyword.replace('_', '-')}{text.removeprefix(keyword)}"
    return problem_text("error", option_words(text), option_words(error.hint), columns)


def problem_text(word: str, text: str, hint: str, columns: int | None = None) -> str:
    """`word: text`, and the hint on a line of its own. columns: wrapped to so many, else not at all.

    Without the control characters that a model's own words may carry.
    """
    parts = [(f"{word}: ", text)] + [("  hint: ", hint)] * bool(hint)
    if columns is None:
        return "\n".join(clean(start + words) for start, words in parts)
    indents = ("    ", "        ")
    return "\n".join(
        line
        for (start, words), indent in zip(parts, indents, strict=False)
        for line in wrapped(words, first=start, indent=indent, columns=columns)
    )
