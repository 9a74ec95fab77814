"""Errors and problems on a terminal: the message, and a hint."""

from __future__ import annotations

import errno
import os
import sys

from ...errors import EdgeRuntimeError
from ...values.display_text import clean
from ...values.files import is_disk_full
from .exit_status import ENGINE, MEMORY, USAGE
from .option_words import OPTION_OF, option_words
from .sentences import wrapped
from .terminal import terminal_columns

# What the system says about a path that the user gave.
_OF_PATHS = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ELOOP)


def print_error(error: EdgeRuntimeError) -> None:
    """On stderr, wrapped where that is a terminal."""
    print(error_text(error, terminal_columns() if sys.stderr.isatty() else None), file=sys.stderr)


def print_unexpected(error: Exception) -> int:
    """What nobody foresaw, on stderr in one sentence. Returns the exit status."""
    text, hint, status = _unexpected(error)
    columns = terminal_columns() if sys.stderr.isatty() else None
    print(problem_text("error", text, hint, columns), file=sys.stderr)
    return status


def _unexpected(error: Exception) -> tuple[str, str, int]:
    """Text, hint and exit status."""
    if isinstance(error, OSError) and is_disk_full(error):
        return f"no room on the disk: {error}", "free some space, or write to another disk", ENGINE
    if isinstance(error, MemoryError):
        return "not enough memory", "give a smaller budget, context or model", MEMORY
    if isinstance(error, OSError) and not _has_working_folder():
        return "the working folder does not exist any more", "change to a folder that is there", USAGE
    if isinstance(error, OSError):
        name = f": {str(error.filename)[:80]!r}" if error.filename else ""
        text = f"the system refuses: {error.strerror or error}{name}"
        status = USAGE if error.errno in _OF_PATHS else ENGINE
        return text, "check the path and its permissions; --debug shows where it happened", status
    text = f"this is a fault in edge_runtime: {type(error).__name__}: {str(error)[:300]}"
    return text, "run it again with --debug before the command, and report what it prints", ENGINE


def _has_working_folder() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109 - it is this call that fails
    except OSError:
        return False


def error_text(error: EdgeRuntimeError, columns: int | None = None) -> str:
    """In the words of the command line: --budget where the library says budget=."""
    text, keyword = str(error), str(error.facts.get("option", ""))
    is_of_command_line = keyword.islower() and keyword not in OPTION_OF  # the others are variables
    if is_of_command_line and text.startswith(f"{keyword}: "):
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
