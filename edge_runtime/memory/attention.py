"""The choice between plain and flash attention, and the memory that plain attention takes.

Flash attention never writes down who looks at whom how much; plain attention does, for every
head, token of the micro-batch and cell of the cache. llama.cpp always takes the first where it
can. On x86, where half-precision numbers have to be converted, the second one answers faster
with narrow heads. Measured with 1,536 tokens before it (2-core Xeon, Q4_0; tokens/s, flash and
plain): SmolLM2 135M (64 wide) 21 and 51, Qwen 2.5 0.5B (64) 11.3 and 22.3, TinyLlama 1.1B (64)
6.5 and 10.8, Qwen 3 0.6B (128) 10.4 and 13.3, Gemma 3 1B (256) 15.8 and 14.9. Prompts are read
as fast, but Qwen 3's: 105 and 89.
"""

from __future__ import annotations

from ..values.kv_type import KvType
from .platform import Platform
from .shape import Layer, ModelShape

_WIDEST_HEAD = 128
_F32_BYTES, _F16_BYTES = 4, 2
_POSITION_NUMBERS = 2  # where a value goes: 64 bits


def plain_is_faster(shape: ModelShape, platform: Platform) -> bool:
    widths = [layer.head_widths[0] for layer in shape.layers]
    return "avx2" in platform.cpu_features and 0 < max(widths, default=0) <= _WIDEST_HEAD


def allows_plain(kv_type: KvType) -> bool:
    """llama.cpp keeps values quantized for flash attention only."""
    return kv_type is KvType.F16


def plain_bytes(shape: ModelShape, cells: int, micro_batch_tokens: int) -> int:
    """The compute buffer while scores are in it, without masks.

    Beside them are the residual and the rows around the attention: fitted to llama.cpp's dry
    runs (0c1e57098), exact for Llama and Qwen shapes, 7 % above for Phi 3.
    """
    numbers = max((_numbers_per_token(shape, cells, index) for index in range(len(shape.layers))), default=0)
    return _F32_BYTES * micro_batch_tokens * numbers


def plain_scratch_bytes(shape: ModelShape, cells: int, micro_batch_tokens: int) -> int:
    """Beside the buffer: the scores once more, in the half precision of the values they weigh.

    Source: llama.cpp ggml/src/ggml-cpu/ggml-cpu.c, ggml_graph_plan, GGML_OP_MUL_MAT, 0c1e57098.
    """
    heads = max(map(_heads, shape.layers), default=0)
    return _F16_BYTES * micro_batch_tokens * heads * cells


def _numbers_per_token(shape: ModelShape, cells: int, index: int) -> int:
    layer = shape.layers[index]
    rows = 3 * shape.embedding_width + 2 * layer.query_width
    return _heads(layer) * cells + rows + _POSITION_NUMBERS * layer.value_width


def _heads(layer: Layer) -> int:
    return layer.query_width // max(layer.head_widths[0], 1)
