"""The types a file can be quantized to, by the names that llama.cpp's own tools use."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.types import GgmlType


@dataclass(frozen=True)
class QuantType:
    """For a whole file a mixture: llama.cpp gives some of the body's tensors a better type than most."""

    name: str
    base: GgmlType  # of most tensors, and of a single table
    file_type: int  # llama.cpp's number for such a file: include/llama.h, enum llama_ftype


TYPES = {
    name: QuantType(name, base, file_type)
    for name, base, file_type in (
        ("F32", GgmlType.F32, 0),
        ("F16", GgmlType.F16, 1),
        ("BF16", GgmlType.BF16, 32),
        ("Q8_0", GgmlType.Q8_0, 7),
        ("Q6_K", GgmlType.Q6_K, 18),
        ("Q5_K_M", GgmlType.Q5_K, 17),
        ("Q4_K_M", GgmlType.Q4_K, 15),
        ("Q4_K_S", GgmlType.Q4_K, 14),
        ("Q4_1", GgmlType.Q4_1, 3),
        ("Q4_0", GgmlType.Q4_0, 2),
        ("IQ4_NL", GgmlType.IQ4_NL, 25),
    )
}
_ALSO_CALLED = {"Q5_K": "Q5_K_M", "Q4_K": "Q4_K_M"}  # by llama.cpp's quantizer too


def type_named(name: str, option: str = "type") -> QuantType:
    """Upper or lower case. Raises OptionInvalid, naming `option`."""
    wanted = name.upper()
    found = TYPES.get(_ALSO_CALLED.get(wanted, wanted))
    if found is None:
        raise OptionInvalid(
            f"{option}: there is no type {name[:40]!r} to quantize to",
            hint=f"one of {', '.join(TYPES)}",
            option=option,
            value=name[:40],
            allowed=list(TYPES),
        )
    return found


def is_plain(kind: GgmlType) -> bool:
    """Numbers that stand for themselves, not in blocks that share a scale."""
    return kind.block_elements == 1
