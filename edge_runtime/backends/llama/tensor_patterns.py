"""Regular expressions that name tensors to llama.cpp, in ECMAScript's grammar."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from ...gguf.tensor_names import split_name

_SPECIAL = re.compile(r"([\^$\\.*+?()\[\]{}|])")  # re.escape() escapes more, which ECMAScript refuses

Kind = TypeVar("Kind")


def tensor_patterns(kinds: Mapping[str, Kind]) -> tuple[tuple[str, Kind], ...]:
    """(pattern, kind) pairs that match exactly these names, each with its kind.

    One pattern for the tensors of all layers that are called alike and are of one kind:
    llama.cpp tries each pattern on each tensor, and a model has hundreds.
    """
    layers: dict[tuple[str, Kind], list[str]] = defaultdict(list)
    patterns = []
    for name, kind in kinds.items():
        if found := split_name(name):
            layers[found[1], kind].append(str(found[0]))
        else:
            patterns.append((f"^{_escaped(name)}$", kind))
    for (rest, kind), numbers in layers.items():
        patterns.append((rf"^blk\.({'|'.join(numbers)})\.{_escaped(rest)}$", kind))
    return tuple(patterns)


def _escaped(name: str) -> str:
    return _SPECIAL.sub(r"\\\1", name)
