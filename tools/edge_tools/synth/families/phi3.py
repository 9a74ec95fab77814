"""phi3: query, key and value in one matrix, gate and up in another. Source: llama.cpp src/models/phi3.cpp."""

from __future__ import annotations

from collections.abc import Iterator

from .parts import tables, two_norms
from .shape import Shape
from .weight import Weight, body


def weights(shape: Shape) -> Iterator[Weight]:
    yield from tables(shape)
    inner = shape.number("feed_forward_length")
    kv_width = shape.number("attention.head_count_kv") * shape.head_size
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        yield from two_norms(shape, block)
        yield body(f"{block}.attn_qkv", shape.width, shape.width + 2 * kv_width)
        yield body(f"{block}.attn_output", shape.width, shape.width)
        yield body(f"{block}.ffn_up", shape.width, 2 * inner)
        yield body(f"{block}.ffn_down", inner, shape.width)
