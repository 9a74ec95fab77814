"""Parts that several architectures share: tables around the blocks, halves of a block."""

from __future__ import annotations

from collections.abc import Iterator

from .shape import Shape
from .weight import TensorClass, Weight, body, matrix, norm


def tables(shape: Shape) -> Iterator[Weight]:
    """The embedding, the last norm, and the output matrix where it is not the embedding."""
    yield matrix(TensorClass.EMBEDDING, "token_embd", shape.width, shape.vocabulary_tokens)
    yield norm("output_norm", shape.width)
    if shape.separate_output:
        yield matrix(TensorClass.OUTPUT, "output", shape.width, shape.vocabulary_tokens)


def attention(shape: Shape, block: str, head_size: int, kv_heads: int) -> Iterator[Weight]:
    """Query, key, value and output."""
    query = shape.number("attention.head_count") * head_size
    yield body(f"{block}.attn_q", shape.width, query)
    yield body(f"{block}.attn_k", shape.width, kv_heads * head_size)
    yield body(f"{block}.attn_v", shape.width, kv_heads * head_size)
    yield body(f"{block}.attn_output", query, shape.width)


def plain_attention(shape: Shape, block: str) -> Iterator[Weight]:
    return attention(shape, block, shape.head_size, shape.number("attention.head_count_kv"))


def head_norms(block: str, head_size: int) -> Iterator[Weight]:
    yield norm(f"{block}.attn_q_norm", head_size)
    yield norm(f"{block}.attn_k_norm", head_size)


def gated_ffn(shape: Shape, block: str, inner: int) -> Iterator[Weight]:
    """Feed-forward with a gate; `inner` is its width."""
    yield body(f"{block}.ffn_gate", shape.width, inner)
    yield body(f"{block}.ffn_up", shape.width, inner)
    yield body(f"{block}.ffn_down", inner, shape.width)


def four_norms(shape: Shape, block: str) -> Iterator[Weight]:
    """Gemma's: before and after each half of a block."""
    for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
        yield norm(f"{block}.{name}", shape.width)


def two_norms(shape: Shape, block: str) -> Iterator[Weight]:
    """Before each half of a block."""
    yield norm(f"{block}.attn_norm", shape.width)
    yield norm(f"{block}.ffn_norm", shape.width)
