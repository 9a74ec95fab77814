"""Names of files, shortened so that they can still be told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...values.display_text import graphemes, one_line, text_columns

_LONGEST_NAME = 255  # characters; no file system allows more


def short_names(paths: Sequence[Path], columns: int) -> list[str]:
    """File names that tell the files apart, none longer than `columns`.

    With their folder where two are the same; where they are too long, without what all of them
    begin with, up to a dash, a dot or an underscore: what is different stands at the end.
    """
    places = [path.resolve() for path in paths]
    counts = Counter(place.name for place in set(places))
    names = [
        one_line((f"{place.parent.name}/" if counts[place.name] > 1 else "") + place.name, _LONGEST_NAME)
        for place in places
    ]
    names = [name.removesuffix(".gguf") for name in names]
    start = re.match(r".*[-._]", _common_start(names))
    if start and len(set(names)) > 1 and max(map(text_columns, names)) > columns:
        names = [f"…{name[len(start[0]) :]}" for name in names]
    return [_end_of(name, columns) for name in names]


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)  # what is between them begins as both do
    pairs = enumerate(zip(first, last, strict=False))
    return first[: next((at for at, (one, other) in pairs if one != other), len(first))]


def _end_of(name: str, columns: int) -> str:
    if text_columns(name) <= columns:
        return name
    characters = graphemes(name)
    while sum(map(text_columns, characters)) > columns - 1:
        characters.pop(0)
    return f"…{''.join(characters)}"
