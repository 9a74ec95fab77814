"""The options of `slice`: a known smaller model by name, or layers and feed-forward columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.errors import OptionInvalid

_MOST_LAYERS = 512  # llama.cpp's LLAMA_MAX_LAYERS
_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


@dataclass(frozen=True)
class SliceOptions:
    """Either `to`, or one or both of the others; slice_model raises OptionInvalid for anything else."""

    to: str | None = None  # "e2b"
    skip_layers: tuple[int, ...] = ()  # as the source counts them, from 0
    feed_forward: int | None = None  # columns that every layer keeps: the first ones


def parse_layers(text: str) -> tuple[int, ...]:
    """'20-22,30' -> (20, 21, 22, 30): each once, in order. Raises OptionInvalid."""
    layers: set[int] = set()
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < _MOST_LAYERS:
            raise _no_layers(text)
        layers.update(range(first, last + 1))
    return tuple(sorted(layers))


def layers_text(layers: Sequence[int]) -> str:
    """(20, 21, 22, 30) -> '20-22, 30'."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _no_layers(text: str) -> OptionInvalid:
    return OptionInvalid(
        f"skip_layers: {text[:40]!r} are no layers",
        hint="write them like 20-24 or 20,21,30; the first layer is 0",
        option="skip_layers",
        value=text[:40],
    )
