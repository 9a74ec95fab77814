"""Hyperparameters of a model as numbers: one for the model, or one for each layer.

The ranges are those of llama.cpp where it has them (LLAMA_MAX_LAYERS, LLAMA_MAX_EXPERTS),
else our own, far above any model: they keep products of two inside 64 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelFileInvalid
from .header import GgufHeader

MOST_LAYERS = 512  # llama.cpp's LLAMA_MAX_LAYERS
MOST_EXPERTS = 1024  # LLAMA_MAX_EXPERTS
MOST_WIDTH = 2**20
_ANY_RANGE = (0, 2**31 - 1)

RANGES: dict[str, tuple[int, int]] = {
    "context_length": (1, 2**31 - 1),
    "embedding_length": (1, MOST_WIDTH),
    "block_count": (1, MOST_LAYERS),
    "nextn_predict_layers": (0, MOST_LAYERS),
    "vocab_size": (0, 2**24),
    "expert_count": (0, MOST_EXPERTS),
    "expert_used_count": (0, MOST_EXPERTS),
    "expert_gating_func": (0, 4),
    "pooling_type": (0, 4),
    "attention.head_count": (0, 2**16),
    "attention.head_count_kv": (0, 2**16),
    "attention.key_length": (0, 2**16),
    "attention.value_length": (0, 2**16),
    "attention.key_length_swa": (0, 2**16),
    "attention.value_length_swa": (0, 2**16),
    "attention.sliding_window": (0, 2**25),
    "attention.shared_kv_layers": (0, MOST_LAYERS),
    "rope.dimension_count": (0, 2**16),
    "rope.dimension_count_swa": (0, 2**16),
    "rope.dimension_sections": (0, 2**16),
    "rope.scaling.original_context_length": (0, 2**31 - 1),
    "ssm.conv_kernel": (0, MOST_WIDTH),
    "ssm.inner_size": (0, MOST_WIDTH),
    "ssm.state_size": (0, MOST_WIDTH),
    "ssm.time_step_rank": (0, MOST_WIDTH),
    "ssm.group_count": (0, MOST_WIDTH),
}


def numbers(header: GgufHeader, key: str) -> tuple[int, ...]:
    """A hyperparameter that is one number or a list of them; () when it is absent.

    Raises ModelFileInvalid, naming the file and the key, for text, fractions and truth
    values, and for a number outside the key's range.
    """
    value = header.hyperparameter(key)
    if value is None:
        return ()
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        found = tuple(int(number) for number in value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = (value,)
    else:
        raise invalid(header, key, "a whole number", value)
    low, high = RANGES.get(key, _ANY_RANGE)
    if not all(low <= number <= high for number in found):
        raise invalid(header, key, f"from {low} to {high}", value)
    return found


def number(header: GgufHeader, key: str, default: int = 0) -> int:
    """The same as one number, of a list the largest; `default` when it is absent, or the list is empty."""
    return max(numbers(header, key), default=default)


def number_or_none(header: GgufHeader, key: str) -> int | None:
    """The same where being absent means something else than any number."""
    return max(numbers(header, key), default=None)


def per_layer(header: GgufHeader, key: str, default: int | Sequence[int]) -> list[int]:
    """A hyperparameter of each layer: one number stands for all of them, as `default` does when it is absent.

    Raises ModelFileInvalid as numbers() does, and for a list that is not as long as block_count says.
    """
    layers = header.block_count or 0
    found: Sequence[int] = numbers(header, key)
    if header.hyperparameter(key) is None:
        found = [default] if isinstance(default, int) else default
    elif is_list(header, key):
        check_length(header, key)
        return list(found)
    return list(found) * layers if len(found) == 1 else list(found)


def is_list(header: GgufHeader, key: str) -> bool:
    return isinstance(header.hyperparameter(key), np.ndarray)


def check_length(header: GgufHeader, key: str) -> None:
    """Raises ModelFileInvalid for a list that has not one value for each layer."""
    value = header.hyperparameter(key)
    layers = header.block_count
    if layers is not None and isinstance(value, np.ndarray) and len(value) != layers:
        raise invalid(header, key, f"one value for each of {layers} layers", len(value))


def invalid(header: GgufHeader, key: str, expected: str, found: object) -> ModelFileInvalid:
    """The error for a hyperparameter: 'attention.head_count' stands for 'llama.attention.head_count'."""
    return header.invalid(f"{header.architecture}.{key}", expected, found)
