"""Metadata values as a person or a program wants them: long lists by their beginning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_runtime.gguf.header import MetadataValue
from edge_runtime.gguf.types import GgufStringArray

_FIRST_ITEMS = 4
_LONGEST_TEXT = 2000  # characters; a chat template is longer, and nobody reads it in a table


def value_text(value: MetadataValue) -> str:
    """One value in words. Untrusted: it may hold anything, control characters too."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, (np.ndarray, GgufStringArray)):
        return _list_text(value)
    return str(value)[:_LONGEST_TEXT]


def _list_text(values: np.ndarray[Any, Any] | GgufStringArray) -> str:
    first = _first_items(values)
    shown = ", ".join(repr(item) if isinstance(item, str) else value_text(item) for item in first)
    if len(values) <= len(first):
        return f"[{shown}]"
    return f"{len(values)} {_item_type(values)}: {shown}, …"


def value_json(value: MetadataValue) -> Any:
    """A list becomes {"type", "count", "first"}; a number that JSON does not know becomes its name."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (np.ndarray, GgufStringArray)):
        first = [value_json(item) for item in _first_items(value)]
        return {"type": _item_type(value), "count": len(value), "first": first}
    return value


def _first_items(values: np.ndarray[Any, Any] | GgufStringArray) -> list[Any]:
    if isinstance(values, GgufStringArray):
        return [values[index] for index in range(min(_FIRST_ITEMS, len(values)))]
    first: list[Any] = values[:_FIRST_ITEMS].tolist()
    return first


def _item_type(values: np.ndarray[Any, Any] | GgufStringArray) -> str:
    return "strings" if isinstance(values, GgufStringArray) else str(values.dtype)


def size_label(parameters: int) -> str:
    """How many parameters, as model names have it: 1,234,567,890 -> "1.2B"; two digits at least."""
    scale, letter = next(
        ((s, x) for s, x in ((1e12, "T"), (1e9, "B"), (1e6, "M")) if parameters > s), (1e3, "K")
    )
    shown = parameters / scale
    digits = len(str(round(shown)).lstrip("0"))
    return f"{shown:.{max(2 - digits, 0)}f}{letter}"
