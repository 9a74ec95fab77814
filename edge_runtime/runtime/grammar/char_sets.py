"""Sets of code points as sorted, disjoint ranges."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

CharSet = tuple[tuple[int, int], ...]  # (first, last), sorted, with a gap between any two

# JSON text carries no half of a surrogate pair.
ANY: CharSet = ((0, 0xD7FF), (0xE000, 0x10FFFF))
DIGIT: CharSet = ((0x30, 0x39),)
WORD: CharSet = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
# ECMA-262: WhiteSpace and LineTerminator.
SPACE: CharSet = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
LINE_END: CharSet = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))


def char_set(ranges: Iterable[tuple[int, int]]) -> CharSet:
    """Ranges in any order, overlapping or not, without the surrogates."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return both(tuple(merged), ANY)


def both(left: CharSet, right: CharSet) -> CharSet:
    """Members of both sets."""
    found = []
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            found.append((first, last))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def all_but(chars: CharSet) -> CharSet:
    found, start = [], 0
    for first, last in chars:
        if start < first:
            found.append((start, first - 1))
        start = last + 1
    if start <= 0x10FFFF:
        found.append((start, 0x10FFFF))
    return both(tuple(found), ANY)


@lru_cache(maxsize=64)
def category(name: str) -> CharSet | None:
    """Code points of a Unicode general category, "L" or "Lu"; None where there is none by that name."""
    found, start = [], -1
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)).startswith(name)
        if inside and start < 0:
            start = code
        elif not inside and start >= 0:
            found.append((start, code - 1))
            start = -1
    return both(tuple(found), ANY) or None
