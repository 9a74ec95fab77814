"""JSON files of a checkpoint: an object, of a size that fits, without a key twice."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_runtime.values.units import format_bytes

from .source_error import damaged

_MOST_BYTES = 256_000_000  # Gemma's tokenizer.json has 33 MB
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ConversionError."""
    try:
        with path.open("rb") as handle:
            raw = handle.read(_MOST_BYTES + 1)
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}", hint="check its owner and mode") from error
    if len(raw) > _MOST_BYTES:
        raise damaged(path, f"is larger than {format_bytes(_MOST_BYTES)}")
    return parse_object(path, raw)


def read_object_if_there(path: Path) -> dict[str, Any]:
    """The same, or {} where there is no such file."""
    return read_object(path) if path.exists() else {}


def parse_object(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        with _no_garbage_collection():
            content = json.loads(raw, object_pairs_hook=_without_repeats)
        if _SURROGATE.search(raw):  # half a character cannot be written as UTF-8
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"is no JSON: {str(error)[:120]}") from error
    if not isinstance(content, dict):
        raise damaged(path, "is no JSON object")
    return content


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A tokenizer is half a million lists: looking through them again and again doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in content if names.count(name) > 1)
        raise ValueError(f"{repeated[:60]!r} twice")
    return content
