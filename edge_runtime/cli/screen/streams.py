"""Standard streams that can be written to, whatever the caller has left of them.

A terminal or a pipe may know no more than ASCII or one of Windows' code pages, a stream may be
closed, and its device full: none of that may end a command with a traceback.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any, TextIO

# Error handlers of codecs: for text in columns, and for messages.
PLAIN, PLAIN_MESSAGES = "edge-runtime-plain", "edge-runtime-plain-messages"

_STREAMS = ("stdin", "stdout", "stderr")  # by their descriptors
# One character each, so that a line stays as wide as it was measured.
_PLAIN_CHARACTERS = str.maketrans("…·±×–—→←’‘“”„▁•█\N{NO-BREAK SPACE}", ".-~x--><'''''_*# ")


def prepare_streams() -> None:
    """Open what is closed, and let no character and no device of stderr end the program."""
    _open_closed_descriptors()
    for name in _STREAMS:
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _forgiving(sys.stderr)
    replace_unknown(sys.stdout, PLAIN)
    replace_unknown(sys.stderr, PLAIN_MESSAGES)


def replace_unknown(stream: TextIO, handler: str = PLAIN) -> None:
    """Write plain characters where the stream's encoding lacks those of the text."""
    codecs.register_error(PLAIN, _plain)
    codecs.register_error(PLAIN_MESSAGES, _plain_messages)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=handler)


def write_path(path: Path) -> None:
    """A path on stdout as the system knows it, also where its name is no text in any encoding."""
    raw = os.fsencode(path) + os.linesep.encode()
    if isinstance(sys.stdout, io.TextIOWrapper) and not _is_utf8(raw):
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
    else:
        print(path)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _open_closed_descriptors() -> None:
    """Else the next file that is opened gets the number of stderr, and a library's messages with it."""
    for descriptor in range(len(_STREAMS)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number


class _Forgiving(io.FileIO):
    """Takes what its device refuses: there is nobody left to tell."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _forgiving(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    try:
        raw = _Forgiving(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, line_buffering=True)


def _plain(error: UnicodeError) -> tuple[str, int]:
    return "".join(_plain_character(c, "?") for c in _unknown(error)), _end(error)


def _plain_messages(error: UnicodeError) -> tuple[str, int]:
    shown = (_plain_character(c, _escaped(c)) for c in _unknown(error))
    return "".join(shown), _end(error)


def _plain_character(character: str, unknown: str) -> str:
    plain = character.translate(_PLAIN_CHARACTERS)
    if plain.isascii():
        return plain
    return "" if unicodedata.category(character) in ("Mn", "Me", "Cf") else unknown


def _escaped(character: str) -> str:
    """A byte of a file name that is no UTF-8 as that byte, anything else by its number."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()


def _unknown(error: UnicodeError) -> str:
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end]


def _end(error: UnicodeError) -> int:
    assert isinstance(error, UnicodeEncodeError)
    return error.end
