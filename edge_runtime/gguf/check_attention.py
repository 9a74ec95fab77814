"""Checks of what a GGUF file says about attention: heads, positions, windows.

Each stands for an assertion, a division by zero or an endless loop in llama.cpp.

Source: llama.cpp at 0c1e57098: src/llama-model.cpp (load_hparams, create_memory),
src/llama-kv-cache.cpp, ggml/src/ggml-cpu/ops.cpp (rope).
"""

from __future__ import annotations

import numpy as np

from ..errors import ModelFileInvalid
from .header import GgufHeader

_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_DEFAULT_PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gemma-embedding": 6}
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
    heads = integers(header, "attention.head_count")
    kv_heads = integers(header, "attention.head_count_kv")
    attends = any(tensor.name.endswith((".attn_q.weight", ".attn_qkv.weight")) for tensor in header.tensors)
    if heads and attends and not any(heads):
        raise hyper_invalid(header, "attention.head_count", "more than 0", 0)
    if kv_heads and attends and any(heads) and not any(kv_heads):
        raise hyper_invalid(header, "attention.head_count_kv", "more than 0", 0)
    pairs = zip(*_same_length(heads, kv_heads), strict=False)
    for head_count, kv_count in pairs:
        if kv_count and head_count % kv_count:  # 0: a layer without attention, in hybrid models
            expected = f"a divisor of the {head_count} heads"
            raise hyper_invalid(header, "attention.head_count_kv", expected, kv_count)


def _check_rope(header: GgufHeader) -> None:
    scaling = header.hyperparameter("rope.scaling.type")
    if isinstance(scaling, str) and scaling not in _ROPE_SCALINGS:
        raise hyper_invalid(header, "rope.scaling.type", f"one of {', '.join(_ROPE_SCALINGS)}", scaling)
    heads = integers(header, "attention.head_count")
    if not heads or not heads[0]:
        return
    width = integer(header, "attention.key_length")
    if width is None:
        width = (integer(header, "embedding_length") or 0) // heads[0]
    window_width = integer(header, "attention.key_length_swa") or width
    if (header.architecture or "").startswith(_ROTATING):
        _check_rotated(header, "rope.dimension_count", width)
        _check_rotated(header, "rope.dimension_count_swa", window_width)
    _check_sections(header, width)


def _check_rotated(header: GgufHeader, key: str, head_width: int) -> None:
    """Rotary positions turn pairs of numbers inside one head, all of them where nothing
    else is said; ggml loops for ever over none."""
    rotated = integer(header, key)
    if rotated is None:
        rotated = head_width
    if not 2 <= rotated <= head_width or rotated % 2:
        raise hyper_invalid(header, key, f"an even number from 2 to the head's {head_width}", rotated)


def _check_sections(header: GgufHeader, head_width: int) -> None:
    """Rotary positions in time, height and width share a head's numbers."""
    sections = integers(header, "rope.dimension_sections")
    least = 1 if "vl" in (header.architecture or "") else 0  # others have them without using them
    if sections and not least <= sum(sections) <= head_width:
        expected = f"numbers with a sum from {least} to {head_width}"
        raise hyper_invalid(header, "rope.dimension_sections", expected, sections)


def _check_window(header: GgufHeader) -> None:
    """A sliding window needs a layer that slides (without a cache: one that does not,
    too), and layers that borrow a cache need one of each kind to borrow from."""
    layers = sliding_layers(header)
    if not layers:
        return
    if not any(layers):
        raise hyper_invalid(header, "attention.sliding_window_pattern", "a layer with a window", "none")
    if all(layers) and header.architecture == "gemma-embedding":
        raise hyper_invalid(header, "attention.sliding_window_pattern", "a layer without a window", "none")
    owned = len(layers)
    if header.architecture == "gemma4":
        owned -= integer(header, "attention.shared_kv_layers") or 0
    elif header.architecture == "gemma3n":
        owned = min(owned, 20)  # a constant in llama.cpp's gemma3n.cpp
    if owned < len(layers) and (owned < 2 or layers[owned - 1] or not layers[owned - 2]):
        expected = "a windowed layer and then a full one, last of those that own a cache"
        raise hyper_invalid(header, "attention.shared_kv_layers", expected, f"{owned} layers own one")


def sliding_layers(header: GgufHeader) -> list[bool]:
    """Per layer: does its attention slide? Empty when the model has no window, or does not say."""
    blocks, window = header.block_count or 0, integer(header, "attention.sliding_window")
    pattern = header.hyperparameter("attention.sliding_window_pattern")
    if isinstance(pattern, np.ndarray) and pattern.dtype.kind in "biu":
        flags = [bool(flag) for flag in pattern[:blocks]]
        return flags + [False] * (blocks - len(flags)) if window else []
    period = _DEFAULT_PERIODS.get(header.architecture or "")
    if isinstance(pattern, int):
        period = int(pattern)
    if not window or period is None:
        return []
    return [period == 0 or layer % period < period - 1 for layer in range(blocks)]


def integer(header: GgufHeader, key: str) -> int | None:
    """A hyperparameter that is one whole number; None when it is absent, or a list."""
    value = header.hyperparameter(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def integers(header: GgufHeader, key: str) -> list[int]:
    """One number, or one per layer; [] when absent.

    Raises ModelFileInvalid for text and fractions.
    """
    value = header.hyperparameter(key)
    if value is None:
        return []
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return [int(number) for number in value]
    raise hyper_invalid(header, key, "a whole number", value)


def _same_length(left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
    """A single number stands for all layers."""
    count = max(len(left), len(right))
    return (left * count if len(left) == 1 else left), (right * count if len(right) == 1 else right)


def hyper_invalid(header: GgufHeader, key: str, expected: str, found: object) -> ModelFileInvalid:
    return header.invalid(f"{header.architecture}.{key}", expected, found)
