"""Bytes of llama.cpp's compute buffer: intermediate results of one micro-batch.

llama.cpp lays out the whole graph once and takes the peak. For a transformer that is
the feed-forward block of the widest layer: its three wide results, beside what is kept
across the block. Fitted to llama.cpp's own dry runs (0c1e57098, flash attention, CPU),
with contexts of 512 to 32,768 and micro-batches of 64 to 512: exact to 0.3 % for 12 of
16 real shapes of all families here, and at most 9 % above for the others (Phi 3, Qwen 3,
Gemma 3n); with a quantized cache from 0.4 % below to 9 % above. For 60 random shapes a
family it is half the time within 2 % (Gemma 3n: 10 %), and at worst 16 % below.

Source of what is laid out: llama.cpp src/models/*.cpp, ggml/src/ggml-alloc.c.
"""

from __future__ import annotations

from ..values.kv_type import KvType
from .shape import ModelShape

_F32_BYTES, _F16_BYTES = 4, 2
_INPUT_NUMBERS = 10  # token, position, row of the cache: a few numbers a token
_GEMMA3N_WIDTHS = 10  # AltUp keeps four states and four predictions, LAuReL one more
# Scratch memory of the CPU kernels, outside the buffer: the operand of a matrix product in
# 8 bits with scales, and a tile of attention for each thread (ggml-cpu.c, ggml_graph_plan).
_OPERAND_BYTES = 36 / 32
_TILE_TOKENS = 64


def buffer_bytes(
    shape: ModelShape,
    micro_batch_tokens: int,
    max_sequences: int,
    kv_type: KvType = KvType.F16,
    masks_bytes: int = 0,
) -> int:
    """With the masks: the buffer that llama.cpp logs as "compute buffer size".

    masks_bytes: what mask_bytes() says; they are gone when the logits come.
    """
    hidden = _F32_BYTES * micro_batch_tokens * (numbers_per_token(shape) + _INPUT_NUMBERS)
    logits = _F32_BYTES * max_sequences * shape.vocabulary_tokens
    return max(hidden + _rotation_bytes(shape, kv_type, micro_batch_tokens), logits - masks_bytes)


def _rotation_bytes(shape: ModelShape, kv_type: KvType, micro_batch_tokens: int) -> int:
    """llama.cpp rotates what it quantizes: a square matrix for each kind of cache, and, where
    norms follow the attention, the rotated result beside the plain one."""
    if kv_type is KvType.F16:
        return 0
    widths = {
        (layer.slides, layer.head_widths[0]) for layer in shape.layers if layer.head_widths[0] % 64 == 0
    }
    matrices = sum(_F32_BYTES * width * width for _, width in widths)
    slides = any(layer.slides for layer in shape.layers)
    query = max((layer.query_width for layer in shape.layers), default=0)
    return matrices + _F32_BYTES * micro_batch_tokens * query * (slides and not shape.ple_width)


def mask_bytes(shape: ModelShape, cells: int, windowed_cells: int, micro_batch_tokens: int) -> int:
    """Who sees whom: a number for each pair of a token and a cell, once for each kind of layer.

    Its pages are touched as the context fills: a short conversation holds less.
    """
    slides = any(layer.slides for layer in shape.layers)
    return _F16_BYTES * micro_batch_tokens * (cells + (windowed_cells if slides else 0))


def numbers_per_token(shape: ModelShape) -> int:
    """Widths of all results that are alive at the peak, together."""
    hidden = shape.embedding_width
    query = max((layer.query_width for layer in shape.layers), default=0)
    ffn = max((layer.ffn_width for layer in shape.layers), default=0)
    ple = shape.ple_width * len(shape.layers)  # a row of the PLE table: kept through all layers
    if shape.architecture == "gemma3n":
        return max(4 * ple + 2 * hidden, ple + 3 * max(ffn, ple) + _GEMMA3N_WIDTHS * hidden)
    if ple:
        return ple + 3 * max(ffn, ple) + 4 * hidden + query
    return max(3 * ffn + 3 * hidden + query, 3 * query + hidden)


def scratch_bytes(shape: ModelShape, micro_batch_tokens: int, threads: int) -> int:
    """What the CPU kernels take beside the buffer."""
    widest = max((max(layer.ffn_width, layer.query_width) for layer in shape.layers), default=0)
    widths = max((sum(layer.head_widths) for layer in shape.layers), default=0)
    tile = _F32_BYTES * 2 * _TILE_TOKENS * (widths + _TILE_TOKENS)
    return int(widest * micro_batch_tokens * _OPERAND_BYTES) + threads * tile
