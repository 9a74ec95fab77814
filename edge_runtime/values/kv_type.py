"""The ways in which keys and values of the attention are stored."""

from __future__ import annotations

from enum import Enum


class KvType(Enum):
    """The value is the name that people write."""

    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"

    @property
    def ggml_number(self) -> int:
        """The type as llama.cpp numbers it."""
        return _GGML_NUMBERS[self]


# Source: enum ggml_type in llama.cpp ggml/include/ggml.h.
_GGML_NUMBERS = {KvType.F16: 1, KvType.Q8_0: 8, KvType.Q4_0: 2}
