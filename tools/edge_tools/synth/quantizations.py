"""The type of each class of tensors, for each named quantization."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.types import GgmlType

from .blocks import QUANTIZATIONS
from .families.weight import TensorClass

# llama.cpp's number for a file whose matrices are mostly of this type; for the K types the M
# mixtures'. Source: include/llama.h, enum llama_ftype.
_FILE_TYPES = {
    GgmlType.F32: 0,
    GgmlType.F16: 1,
    GgmlType.Q4_0: 2,
    GgmlType.Q4_1: 3,
    GgmlType.Q8_0: 7,
    GgmlType.Q5_0: 8,
    GgmlType.Q5_1: 9,
    GgmlType.Q4_K: 15,
    GgmlType.Q5_K: 17,
    GgmlType.Q6_K: 18,
    GgmlType.IQ4_NL: 25,
    GgmlType.BF16: 32,
}


@dataclass(frozen=True)
class Quantizations:
    """The type of each class; norms, biases and coefficients are always F32."""

    body: GgmlType = GgmlType.Q4_0
    embedding: GgmlType = GgmlType.Q6_K
    output: GgmlType = GgmlType.Q6_K
    ple: GgmlType = GgmlType.Q8_0
    other: GgmlType = GgmlType.Q8_0
    untouched: GgmlType = GgmlType.F32

    @classmethod
    def named(cls, **names: str) -> Quantizations:
        """Quantizations.named(body="Q4_0"). Raises OptionInvalid, naming the option."""
        return cls(**{option: _type_named(option, name) for option, name in names.items()})

    def of(self, kind: TensorClass) -> GgmlType:
        if kind in (TensorClass.NORM, TensorClass.SMALL):
            return GgmlType.F32
        chosen: GgmlType = getattr(self, kind.value)
        return chosen

    @property
    def file_type(self) -> int:
        """general.file_type: named after the body."""
        return _FILE_TYPES[self.body]


def _type_named(option: str, name: str) -> GgmlType:
    allowed = {kind.name: kind for kind in QUANTIZATIONS}
    if name.upper() in allowed:
        return allowed[name.upper()]
    raise OptionInvalid(
        f"{option}: there is no quantization {name[:40]!r} to write",
        hint=f"one of {', '.join(allowed)}",
        option=option,
        value=name[:40],
        allowed=list(allowed),
    )
