"""Metadata keys that were added, removed or changed."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np

from edge_runtime.gguf.header import GgufHeader, MetadataValue
from edge_runtime.gguf.types import GgufStringArray

from ..metadata_text import value_text
from .difference import MetadataChange

_CONTEXT_CHARACTERS = 20  # shown before the place where two texts part


def metadata_changes(a: GgufHeader, b: GgufHeader) -> tuple[MetadataChange, ...]:
    """By key. The order of keys in the files does not count."""
    changes = []
    for key in sorted(a.metadata.keys() | b.metadata.keys()):
        before, after = a.metadata.get(key), b.metadata.get(key)
        if before is None or after is None:
            texts = [None if value is None else value_text(value) for value in (before, after)]
            changes.append(MetadataChange(key, *texts))
        elif not _is_same(before, after):
            changes.append(MetadataChange(key, *_both_texts(before, after)))
    return tuple(changes)


def _is_same(before: MetadataValue, after: MetadataValue) -> bool:
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        same_kind = before.dtype == after.dtype and before.shape == after.shape
        return same_kind and before.tobytes() == after.tobytes()
    if isinstance(before, GgufStringArray) and isinstance(after, GgufStringArray):
        return len(before) == len(after) and _first_difference(before, after) is None
    if type(before) is not type(after):
        return False
    return bool(before == after) or repr(before) == repr(after)  # NaN is the same as NaN


def _both_texts(before: MetadataValue, after: MetadataValue) -> tuple[str, str]:
    """Of long lists the first items that differ, of long texts from a little before that place."""
    if isinstance(before, str) and isinstance(after, str):
        start = max(_shared_characters(before, after) - _CONTEXT_CHARACTERS, 0)
        mark = f"[{start}] …" if start else ""
        return mark + value_text(before[start:]), mark + value_text(after[start:])
    texts = value_text(before), value_text(after)
    if texts[0] == texts[1] and _kind(before) != _kind(after):
        return f"{texts[0]} ({_kind(before)})", f"{texts[1]} ({_kind(after)})"
    at = _first_difference(before, after)
    if at is None or not (isinstance(before, _LISTS) and isinstance(after, _LISTS)):
        return texts
    return _item_text(before, at), _item_text(after, at)


def _shared_characters(before: str, after: str) -> int:
    pairs = zip_longest(before, after)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), len(before))


_LISTS = (np.ndarray, GgufStringArray)


def _kind(value: MetadataValue) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__


def _item_text(values: MetadataValue, index: int) -> str:
    assert isinstance(values, _LISTS)
    if index >= len(values):
        return f"{len(values)} items"
    item = values[index]
    return f"[{index}] {item!r}" if isinstance(item, str) else f"[{index}] {item}"


def _first_difference(before: MetadataValue, after: MetadataValue) -> int | None:
    if isinstance(before, GgufStringArray) and isinstance(after, GgufStringArray):
        pairs = zip_longest(before.iter_bytes(), after.iter_bytes())
        return next((index for index, (one, other) in enumerate(pairs) if one != other), None)
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        shared = min(len(before), len(after))
        differing = np.flatnonzero(before[:shared] != after[:shared])
        return int(differing[0]) if len(differing) else shared if len(before) != len(after) else None
    return None
