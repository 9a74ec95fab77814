"""Bytes of the key-value cache.

Source: llama.cpp at 0c1e57098, src/llama-kv-cache.cpp, src/llama-kv-cache-iswa.cpp and
llama_context's constructor. All of it is touched: llama.cpp clears it when it makes it.
"""

from __future__ import annotations

from ..gguf.header import GgufHeader
from ..gguf.types import GGML_TYPES
from ..values.kv_type import KvType
from .shape import Layer, ModelShape, read_shape

_CELLS_STEP = 256  # both caches are rounded up to it


def kv_cache_bytes(
    header: GgufHeader,
    context_tokens: int,
    micro_batch_tokens: int,
    kv_type: KvType = KvType.F16,
    max_sequences: int = 1,
) -> int:
    """Key and value caches for `max_sequences` conversations of `context_tokens` each."""
    return kv_bytes(read_shape(header), context_tokens, micro_batch_tokens, kv_type, max_sequences)


def kv_bytes(
    shape: ModelShape, context_tokens: int, micro_batch_tokens: int, kv_type: KvType, max_sequences: int
) -> int:
    """All sequences share one pool of cells (kv_unified).

    A layer with a sliding window keeps the window of each sequence and one
    micro-batch; a layer that reads another's cache adds nothing.
    """
    cells = full_cells(context_tokens, max_sequences)
    windowed = window_cells(shape, context_tokens, micro_batch_tokens, max_sequences)
    return sum((windowed if layer.slides else cells) * cell_bytes(layer, kv_type) for layer in shape.layers)


def full_cells(context_tokens: int, max_sequences: int) -> int:
    return _rounded(context_tokens * max_sequences)


def window_cells(shape: ModelShape, context_tokens: int, micro_batch_tokens: int, max_sequences: int) -> int:
    """Cells of a layer that slides."""
    wanted = shape.window_tokens * max_sequences + min(micro_batch_tokens, context_tokens * max_sequences)
    return _rounded(min(full_cells(context_tokens, max_sequences), wanted))


def cell_bytes(layer: Layer, kv_type: KvType) -> int:
    """One token in one layer."""
    stored = GGML_TYPES[kv_type.ggml_number]
    return sum(
        width // stored.block_elements * stored.block_bytes for width in (layer.key_width, layer.value_width)
    )


def can_hold(shape: ModelShape, kv_type: KvType) -> bool:
    """llama.cpp wants whole blocks in each head."""
    block_elements = GGML_TYPES[kv_type.ggml_number].block_elements
    return all(width % block_elements == 0 for layer in shape.layers for width in layer.head_widths)


def _rounded(cells: int) -> int:
    return -(-cells // _CELLS_STEP) * _CELLS_STEP
