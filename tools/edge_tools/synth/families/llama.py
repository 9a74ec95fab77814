"""llama. Source: llama.cpp src/models/llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator

from .parts import gated_ffn, plain_attention, tables, two_norms
from .shape import Shape
from .weight import Weight


def weights(shape: Shape) -> Iterator[Weight]:
    yield from tables(shape)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        yield from two_norms(shape, block)
        yield from plain_attention(shape, block)
        yield from gated_ffn(shape, block, shape.number("feed_forward_length"))
