"""Text that comes from the command line, from stdin and from files; nothing of it is trusted to be text."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ...errors import OptionInvalid
from ...values.units import format_bytes

MOST_PROMPT_BYTES = 4_000_000  # a million tokens or so: more than any context here
MOST_CORPUS_BYTES = 16_000_000  # a text that a model is judged or weighed by: half a minute to tokenize
_MOST_FILE_BYTES = 1_000_000


def read_prompt(argument: str | None) -> str:
    """The argument, or all of stdin without one or for `-`, as UTF-8 without one trailing newline.

    Raises OptionInvalid: not UTF-8 (with the offset of the first wrong byte), empty,
    or larger than MOST_PROMPT_BYTES.
    """
    if argument is not None and argument != "-":
        # Undecodable bytes of the command line are inside `argument` as lone surrogates.
        raw, source = os.fsencode(argument), "the prompt"
    else:
        raw, source = _read_stdin(), "standard input"
    if len(raw) > MOST_PROMPT_BYTES:
        raise _invalid(
            f"{source} is larger than {format_bytes(MOST_PROMPT_BYTES)}", "give a shorter prompt", "prompt"
        )
    text = decode_utf8(raw, source, "prompt").removeprefix("\ufeff")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise _invalid(f"{source} is empty", "give the prompt as an argument or on stdin", "prompt")
    return text


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        print("Write the prompt; Ctrl-D on an empty line ends it.", file=sys.stderr)
    return sys.stdin.buffer.read(MOST_PROMPT_BYTES + 1)


def decode_utf8(raw: bytes, source: str, option: str) -> str:
    """Raises OptionInvalid, naming the first byte that is wrong."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(
            f"{source} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}",
            "convert it first, for example with: iconv -f latin1 -t utf-8",
            option,
        ) from None


def read_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema from a file. Raises OptionInvalid, naming the file and, for wrong JSON, the line."""
    text = read_text_file(path, "schema")
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _invalid(f"--schema: {path}, {place}: {error.msg}", "correct the JSON", "schema") from None
    except (RecursionError, ValueError) as error:
        raise _invalid(f"--schema: {path}: {error}", "simplify the JSON", "schema") from None
    if not isinstance(schema, dict):
        raise _invalid(
            f"--schema: {path}, line 1: a JSON Schema is an object, this is {_kind(schema)}",
            'for example {"type": "object", "properties": {"name": {"type": "string"}}}',
            "schema",
        )
    return schema


def read_text_file(path: Path, option: str, most_bytes: int = _MOST_FILE_BYTES) -> str:
    """Raises OptionInvalid: unreadable, not UTF-8, or larger than `most_bytes`."""
    try:
        with path.open("rb") as file:
            raw = file.read(most_bytes + 1)
    except OSError as error:
        raise _invalid(f"--{option}: {path}: {error.strerror}", "check the path", option) from None
    if len(raw) > most_bytes:
        limit = format_bytes(most_bytes)
        raise _invalid(f"--{option}: {path} is larger than {limit}", "give a smaller file", option)
    return decode_utf8(raw, f"--{option}: {path}", option).removeprefix("\ufeff")


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _invalid(message: str, hint: str, option: str) -> OptionInvalid:
    return OptionInvalid(message, hint=hint, option=option)
