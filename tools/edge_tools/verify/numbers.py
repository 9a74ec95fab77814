"""Search for NaN, infinity and zero in scales and values, without calculating a single weight.

Random or damaged bits make sound weights everywhere but in the floating-point numbers:
the scales of a block, or the values themselves in F32, F16 and BF16. Those are looked at
as bits: an exponent of all ones is an infinity or NaN.

Source: llama.cpp at 0c1e57098, ggml/src/ggml-common.h (layouts of blocks) and
ggml/src/ggml-quants.c (ggml_validate_row_data).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType


@dataclass(frozen=True)
class _Float:
    """How a kind of number is told from its bits."""

    dtype: str
    exponent: int  # its bits; all set: no number. 0: every pattern is one
    magnitude: int  # all bits but the sign

    def is_bad(self, bits: NDArray[np.generic]) -> NDArray[np.bool_]:
        mask = bits.dtype.type(self.exponent)
        return (bits & mask) == mask if self.exponent else np.zeros(bits.shape, bool)

    def is_zero(self, bits: NDArray[np.generic]) -> NDArray[np.bool_]:
        zero: NDArray[np.bool_] = (bits & bits.dtype.type(self.magnitude)) == 0
        return zero

    def name(self, bits: int) -> str:
        is_infinite = bits & self.magnitude == self.exponent and self.dtype != "u1"
        return "infinity" if is_infinite else "NaN"


_F64 = _Float("<u8", 0x7FF0_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)
_F32 = _Float("<u4", 0x7F80_0000, 0x7FFF_FFFF)
_F16 = _Float("<u2", 0x7C00, 0x7FFF)
_BF16 = _Float("<u2", 0x7F80, 0x7FFF)
_E8M0 = _Float("u1", 0xFF, 0xFF)  # 0 is 2^-127, which quantizers write for a block of zeros
_UE4M3 = _Float("u1", 0, 0xFF)


@dataclass(frozen=True)
class _Layout:
    number: _Float
    places: tuple[int, ...] = (0,)  # bytes from the start of a block; one number right behind the other


_IQ1_M_SCALES = 48  # 4 words; the upper 4 bits of each make the scale
_LAYOUTS: dict[GgmlType, _Layout] = {
    GgmlType.F64: _Layout(_F64),
    GgmlType.F32: _Layout(_F32),
    GgmlType.F16: _Layout(_F16),
    GgmlType.BF16: _Layout(_BF16),
    GgmlType.Q4_1: _Layout(_F16, (0, 2)),
    GgmlType.Q5_1: _Layout(_F16, (0, 2)),
    GgmlType.Q8_1: _Layout(_F16, (0, 2)),
    GgmlType.Q2_K: _Layout(_F16, (80, 82)),
    GgmlType.Q3_K: _Layout(_F16, (108,)),
    GgmlType.Q4_K: _Layout(_F16, (0, 2)),
    GgmlType.Q5_K: _Layout(_F16, (0, 2)),
    GgmlType.Q6_K: _Layout(_F16, (208,)),
    GgmlType.Q8_K: _Layout(_F32),
    GgmlType.IQ1_M: _Layout(_F16, (_IQ1_M_SCALES,)),
    GgmlType.TQ1_0: _Layout(_F16, (52,)),
    GgmlType.TQ2_0: _Layout(_F16, (64,)),
    GgmlType.MXFP4: _Layout(_E8M0),
    GgmlType.NVFP4: _Layout(_UE4M3, (0, 1, 2, 3)),
} | {
    GgmlType[name]: _Layout(_F16)
    for name in "Q1_0 Q2_0 Q4_0 Q5_0 Q8_0 IQ1_S IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ4_NL IQ4_XS".split()
}


def has_numbers(kind: GgmlType) -> bool:
    """False for tables of integers: every bit pattern is good there."""
    return kind in _LAYOUTS


class NumberScan:
    """Takes the pieces of one tensor in order."""

    def __init__(self, kind: GgmlType) -> None:
        self.kind = kind
        self.blocks = self.zero_blocks = self.bad_blocks = 0
        self.first_bad_offset_bytes: int | None = None  # from the tensor's start
        self.first_bad = ""  # "NaN" or "infinity"
        self.first_zero_offset_bytes = 0  # of the block; nothing when there is none

    def add(self, piece: NDArray[np.uint8]) -> None:
        """(bytes,) whole blocks."""
        count = len(piece) // self.kind.block_bytes
        if has_numbers(self.kind):
            layout = _LAYOUTS[self.kind]
            bits = _bits(piece, self.kind, layout)  # (blocks, places)
            bad = layout.number.is_bad(bits)
            if bad.any():
                self._note_bad(bits, bad, layout)
            zero = np.asarray(layout.number.is_zero(bits).all(axis=1))
            if zero.any():
                self._note_zero(zero)
        self.blocks += count

    def _note_zero(self, zero: NDArray[np.bool_]) -> None:
        if not self.zero_blocks:
            self.first_zero_offset_bytes = (self.blocks + int(zero.argmax())) * self.kind.block_bytes
        self.zero_blocks += int(np.count_nonzero(zero))

    def _note_bad(self, bits: NDArray[np.generic], bad: NDArray[np.bool_], layout: _Layout) -> None:
        self.bad_blocks += int(np.count_nonzero(bad.any(axis=1)))
        if self.first_bad_offset_bytes is None:
            block, place = np.argwhere(bad)[0]
            start = (self.blocks + int(block)) * self.kind.block_bytes
            self.first_bad_offset_bytes = start + layout.places[place]
            self.first_bad = layout.number.name(int(bits[block, place]))


def _bits(piece: NDArray[np.uint8], kind: GgmlType, layout: _Layout) -> NDArray[np.generic]:
    """(blocks, places) the numbers of each block, as unsigned integers."""
    if kind is GgmlType.IQ1_M:
        return _iq1_m_scales(piece.reshape(-1, kind.block_bytes))
    dtype = np.dtype(layout.number.dtype)
    shape, strides = (len(piece) // kind.block_bytes, len(layout.places)), (kind.block_bytes, dtype.itemsize)
    bits: NDArray[np.generic] = np.ndarray(shape, dtype, piece.data, offset=layout.places[0], strides=strides)
    return bits


def _iq1_m_scales(blocks: NDArray[np.uint8]) -> NDArray[np.generic]:
    words = np.ascontiguousarray(blocks[:, _IQ1_M_SCALES:]).view("<u2") >> 12  # (blocks, 4)
    scales = words[:, 0] | words[:, 1] << 4 | words[:, 2] << 8 | words[:, 3] << 12
    return scales.reshape(-1, 1)
