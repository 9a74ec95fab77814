"""Checks of what a GGUF file says about attention: heads, positions, windows.

Each stands for an assertion, a division by zero or an endless loop in llama.cpp.

Source: llama.cpp at 0c1e57098: src/llama-model.cpp (load_hparams, create_memory),
src/llama-kv-cache.cpp, ggml/src/ggml-cpu/ops.cpp (rope).
"""

from __future__ import annotations

from .header import GgufHeader
from .hyperparameters import invalid, number, number_or_none, numbers
from .layer_patterns import SHARED_LAYERS, WINDOW_PATTERN, owning_layers, sliding_layers

_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
# Where rotary positions are certain, by the beginning of the name. Others may carry
# rope.dimension_count and not use it.
_ROTATING = (
    *("gemma", "llama", "qwen", "phi", "mistral", "smollm", "lfm2", "granite", "olmo", "stablelm"),
    *("starcoder2", "command", "cohere", "deepseek", "exaone", "internlm", "minicpm", "nomic", "glm"),
)


def check_attention(header: GgufHeader) -> None:
    """Raises ModelFileInvalid with the key, what was expected and what was found."""
    _check_heads(header)
    _check_rope(header)
    _check_window(header)


def _check_heads(header: GgufHeader) -> None:
    heads = numbers(header, "attention.head_count")
    kv_heads = numbers(header, "attention.head_count_kv")
    attends = any(tensor.name.endswith((".attn_q.weight", ".attn_qkv.weight")) for tensor in header.tensors)
    if heads and attends and not any(heads):
        raise invalid(header, "attention.head_count", "more than 0", 0)
    if kv_heads and attends and any(heads) and not any(kv_heads):
        raise invalid(header, "attention.head_count_kv", "more than 0", 0)
    pairs = zip(*_same_length(heads, kv_heads), strict=False)
    for head_count, kv_count in pairs:
        if kv_count and head_count % kv_count:  # 0: a layer without attention, in hybrid models
            expected = f"a divisor of the {head_count} heads"
            raise invalid(header, "attention.head_count_kv", expected, kv_count)


def _check_rope(header: GgufHeader) -> None:
    scaling = header.hyperparameter("rope.scaling.type")
    if isinstance(scaling, str) and scaling not in _ROPE_SCALINGS:
        raise invalid(header, "rope.scaling.type", f"one of {', '.join(_ROPE_SCALINGS)}", scaling)
    heads = numbers(header, "attention.head_count")
    if not heads or not heads[0]:
        return
    width = number_or_none(header, "attention.key_length")
    if width is None:
        width = (number(header, "embedding_length")) // heads[0]
    window_width = number_or_none(header, "attention.key_length_swa") or width
    if (header.architecture or "").startswith(_ROTATING):
        _check_rotated(header, "rope.dimension_count", width)
        _check_rotated(header, "rope.dimension_count_swa", window_width)
    _check_sections(header, width)


def _check_rotated(header: GgufHeader, key: str, head_width: int) -> None:
    """Rotary positions turn pairs of numbers inside one head, all of them where nothing
    else is said; ggml loops for ever over none."""
    rotated = number_or_none(header, key)
    if rotated is None:
        rotated = head_width
    if not 2 <= rotated <= head_width or rotated % 2:
        raise invalid(header, key, f"an even number from 2 to the head's {head_width}", rotated)


def _check_sections(header: GgufHeader, head_width: int) -> None:
    """Rotary positions in time, height and width share a head's numbers."""
    sections = numbers(header, "rope.dimension_sections")
    least = 1 if "vl" in (header.architecture or "") else 0  # others have them without using them
    if sections and not least <= sum(sections) <= head_width:
        expected = f"numbers with a sum from {least} to {head_width}"
        raise invalid(header, "rope.dimension_sections", expected, sections)


def _check_window(header: GgufHeader) -> None:
    """A sliding window needs a layer that slides (without a cache: one that does not,
    too), and layers that borrow a cache need one of each kind to borrow from."""
    layers = sliding_layers(header)
    if not layers:
        return
    if not any(layers):
        raise invalid(header, WINDOW_PATTERN, "a layer with a window", "none")
    if all(layers) and header.architecture == "gemma-embedding":
        raise invalid(header, WINDOW_PATTERN, "a layer without a window", "none")
    owned = owning_layers(header)
    if owned < len(layers) and (owned < 2 or layers[owned - 1] or not layers[owned - 2]):
        expected = "a windowed layer and then a full one, last of those that own a cache"
        raise invalid(header, SHARED_LAYERS, expected, f"{owned} layers own one")


def _same_length(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A single number stands for all layers."""
    count = max(len(left), len(right))
    return (left * count if len(left) == 1 else left), (right * count if len(right) == 1 else right)
