"""gemma3, text only. Source: llama.cpp src/models/gemma3.cpp; every sixth layer sees the whole context."""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.gguf.layer_patterns import SLIDING_PERIODS

from .parts import four_norms, gated_ffn, head_norms, plain_attention, tables
from .shape import Shape
from .weight import Weight

_CYCLE = SLIDING_PERIODS["gemma3"]


def weights(shape: Shape) -> Iterator[Weight]:
    yield from tables(shape)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        yield from four_norms(shape, block)
        yield from plain_attention(shape, block)
        yield from head_norms(block, shape.head_size)
        yield from gated_ffn(shape, block, shape.number("feed_forward_length"))


def scaled_layers(shape: Shape, scale: float) -> tuple[int, int]:
    """At least one cycle, so that both kinds of layers are there."""
    return max(_CYCLE, round(shape.layers * scale)), 0
