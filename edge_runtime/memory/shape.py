"""A model as the planner sees it: layers, widths, caches; from a GGUF header's metadata.

Source: llama.cpp at 0c1e57098, src/models/*.cpp (load_arch_hparams) and src/llama-hparams.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..gguf.header import GgufHeader
from ..gguf.hyperparameters import number, per_layer
from ..gguf.layer_patterns import SLIDING_PERIODS, owning_layers, periodic, sliding_layers
from ..gguf.tensor_names import EMBEDDING_TENSOR, PLE_TENSOR

# Checked against llama.cpp's own dry runs. Others are planned from their tensor table.
KNOWN_ARCHITECTURES = frozenset(
    {"gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "llama", "qwen2", "qwen3", "phi3", "mistral3"}
)
_GEMMA2_WINDOW_TOKENS = 4096  # gemma2.cpp's default
_IGNORES_WINDOW = ("phi3", "llama", "qwen2", "qwen3")  # the key may be there; llama.cpp does not use it


@dataclass(frozen=True)
class Layer:
    key_width: int  # numbers a token, all KV heads together; 0: the layer owns no cache
    value_width: int
    query_width: int  # all heads together
    ffn_width: int
    slides: bool  # its attention sees a window only
    head_widths: tuple[int, int] = (0, 0)  # keys, values


@dataclass(frozen=True)
class ModelShape:
    architecture: str
    layers: tuple[Layer, ...]
    embedding_width: int
    vocabulary_tokens: int
    trained_context_tokens: int | None
    window_tokens: int  # 0: none
    ple_width: int  # numbers a token and layer; 0: none
    certain: bool


def read_shape(header: GgufHeader) -> ModelShape:
    architecture = header.architecture or ""
    count = header.block_count or 0
    embedding = number(header, "embedding_length")
    heads = per_layer(header, "attention.head_count", 1)
    kv_heads = per_layer(header, "attention.head_count_kv", heads)
    ffn = per_layer(header, "feed_forward_length", 4 * embedding)
    window, slides = _window(header, count)
    first_shared = owning_layers(header)
    layers = []
    for index in range(count):
        key, value = _head_widths(header, embedding // max(heads[index], 1), slides[index])
        owns = index < first_shared
        layers.append(
            Layer(
                key_width=key * kv_heads[index] * owns,
                value_width=value * kv_heads[index] * owns,
                query_width=key * heads[index],
                ffn_width=ffn[index],
                slides=slides[index],
                head_widths=(key, value),
            )
        )
    return ModelShape(
        architecture=architecture,
        layers=tuple(layers),
        embedding_width=embedding,
        vocabulary_tokens=_vocabulary_tokens(header),
        trained_context_tokens=header.context_length,
        window_tokens=window,
        ple_width=_ple_width(header, count),
        certain=architecture in KNOWN_ARCHITECTURES and not number(header, "expert_count"),
    )


def _head_widths(header: GgufHeader, default: int, slides: bool) -> tuple[int, int]:
    key, value = (
        number(header, "attention.key_length", default),
        number(header, "attention.value_length", default),
    )
    if not slides:
        return key, value
    return number(header, "attention.key_length_swa", key), number(
        header, "attention.value_length_swa", value
    )


def _window(header: GgufHeader, layers: int) -> tuple[int, list[bool]]:
    """Window in tokens, and which layers keep to it."""
    window = number(header, "attention.sliding_window")
    slides = sliding_layers(header)
    if header.architecture == "gemma2" and not window:
        window = _GEMMA2_WINDOW_TOKENS
        slides = periodic(layers, SLIDING_PERIODS["gemma2"])
    if header.architecture in _IGNORES_WINDOW or not any(slides):
        return 0, [False] * layers
    return window, [*slides, *([False] * layers)][:layers]


def _vocabulary_tokens(header: GgufHeader) -> int:
    """Rows of the embedding: what logits have, even where the tokenizer knows fewer."""
    rows = (tensor.shape[1] for tensor in header.tensors if tensor.name == EMBEDDING_TENSOR)
    return next((row for row in rows), header.vocabulary_size) if header.tensors else header.vocabulary_size


def _ple_width(header: GgufHeader, layers: int) -> int:
    table = next((t for t in header.tensors if t.name == PLE_TENSOR), None)
    return table.shape[0] // layers if table and layers else 0
