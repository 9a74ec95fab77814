"""Types for single tensors as llama.cpp takes them: regular expressions, the first match counts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from edge_runtime.gguf.types import GgmlType

_IN_LAYER = re.compile(r"blk\.(\d{1,9})\.(.+)", re.DOTALL)
_SPECIAL = re.compile(r"([\^$\\.*+?()\[\]{}|])")  # in ECMAScript's expressions


def exactly(types: Mapping[str, GgmlType]) -> tuple[tuple[str, GgmlType], ...]:
    """Patterns that fit these names and no other.

    One for the tensors that are called alike and have one type: llama.cpp tries all of
    them on every tensor, and a model has hundreds.
    """
    layers: dict[tuple[str, GgmlType], list[str]] = defaultdict(list)
    patterns = []
    for name, kind in types.items():
        if found := _IN_LAYER.fullmatch(name):
            layers[found[2], kind].append(found[1])
        else:
            patterns.append((f"^{_escaped(name)}$", kind))
    for (rest, kind), numbers in layers.items():
        patterns.append((rf"^blk\.({'|'.join(numbers)})\.{_escaped(rest)}$", kind))
    return tuple(patterns)


def _escaped(name: str) -> str:
    return _SPECIAL.sub(r"\\\1", name)
