"""The part of a model's weights that can be read from flash for every token.

The big matrices of the layers, in whole blocks that are aligned in the file: a block is what
one page fault reads. What a matrix has before its first whole block and behind its last stays
in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..gguf.tensor_names import split_name
from ..gguf.types import TensorInfo

BLOCK_BYTES = 2 << 20
# From a layer's end to its beginning: what is streamed first is what a layer uses last, so that
# the device has had the most time.
STREAMABLE_KINDS = (
    *("ffn_down", "ffn_up", "ffn_gate"),
    *("attn_output", "attn_q", "attn_qkv", "attn_k", "attn_v"),
)


def streamable_kind(tensor: TensorInfo) -> str | None:
    """One of STREAMABLE_KINDS, or None."""
    layer_and_kind = split_name(tensor.name)
    kind = layer_and_kind[1].removesuffix(".weight") if layer_and_kind else ""
    return kind if kind in STREAMABLE_KINDS else None


def block_range(tensor: TensorInfo) -> tuple[int, int]:
    """Bytes of the file, [start, end), of its whole blocks; empty when it has none."""
    start = -(-tensor.offset_bytes // BLOCK_BYTES) * BLOCK_BYTES
    end = (tensor.offset_bytes + tensor.size_bytes) // BLOCK_BYTES * BLOCK_BYTES
    return start, max(start, end)


def block_bytes(tensor: TensorInfo) -> int:
    start, end = block_range(tensor)
    return end - start


def streamable_bytes(tensors: Iterable[TensorInfo]) -> int:
    return sum(block_bytes(tensor) for tensor in tensors if streamable_kind(tensor))
