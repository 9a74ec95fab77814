"""qwen2: llama with biases on query, key and value. Source: llama.cpp src/models/qwen2.cpp."""

from __future__ import annotations

from collections.abc import Iterator

from . import llama
from .shape import Shape
from .weight import Weight, bias


def weights(shape: Shape) -> Iterator[Weight]:
    yield from llama.weights(shape)
    kv_width = shape.number("attention.head_count_kv") * shape.head_size
    for layer in range(shape.layers):
        yield bias(f"blk.{layer}.attn_q", shape.width)
        yield bias(f"blk.{layer}.attn_k", kv_width)
        yield bias(f"blk.{layer}.attn_v", kv_width)
