"""qwen3: llama with norms on query and key. Source: llama.cpp src/models/qwen3.cpp."""

from __future__ import annotations

from collections.abc import Iterator

from . import llama
from .parts import head_norms
from .shape import Shape
from .weight import Weight


def weights(shape: Shape) -> Iterator[Weight]:
    yield from llama.weights(shape)
    for layer in range(shape.layers):
        yield from head_norms(f"blk.{layer}", shape.head_size)
