"""The tensors of each architecture, one file each, in llama.cpp's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import gemma3, gemma3n, gemma4, llama, phi3, qwen2, qwen3
from .shape import Shape
from .weight import Weight


@dataclass(frozen=True)
class Family:
    weights: Callable[[Shape], Iterator[Weight]]
    check: Callable[[Shape], None]  # raises OptionInvalid for what llama.cpp would refuse
    scaled_layers: Callable[[Shape, float], tuple[int, int]]  # layers, and how many share a cache


def _anything(shape: Shape) -> None:
    pass


def _fewer_layers(shape: Shape, scale: float) -> tuple[int, int]:
    return max(2, round(shape.layers * scale)), 0


FAMILIES = {
    "gemma3": Family(gemma3.weights, _anything, gemma3.scaled_layers),
    "gemma3n": Family(gemma3n.weights, gemma3n.check, gemma3n.scaled_layers),
    "gemma4": Family(gemma4.weights, gemma4.check, gemma4.scaled_layers),
    "llama": Family(llama.weights, _anything, _fewer_layers),
    "phi3": Family(phi3.weights, _anything, _fewer_layers),
    "qwen2": Family(qwen2.weights, _anything, _fewer_layers),
    "qwen3": Family(qwen3.weights, _anything, _fewer_layers),
}
