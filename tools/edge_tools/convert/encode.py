"""Encoding numbers as another type: byte for byte as ggml's reference quantization.

Layouts: llama.cpp ggml/src/ggml-common.h, block_q8_0 and block_q4_0; roundings: ggml-quants.c,
quantize_row_q8_0_ref and quantize_row_q4_0_ref, and ggml_compute_fp32_to_bf16.
Checked against gguf-py's quantize: tests/test_convert_encode.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineUnavailable
from edge_runtime.gguf.types import GgmlType

from .blocks import BlockQuantizer, widen
from .native_blocks import NativeQ4, NativeQ8, native_quantizer

Float32Array = NDArray[np.float32]

# A multiple of every type's block. The arrays on the way stay in the processor's cache.
_PART_ELEMENTS = 1 << 17
# What each stored type is when nothing has to be done.
_SAME = {"BF16": GgmlType.BF16, "F16": GgmlType.F16, "F32": GgmlType.F32}


def as_float32(stored: NDArray[Any], dtype: str, out: Float32Array | None = None) -> Float32Array:
    """(numbers,) of a safetensors type -> (numbers,), in `out` where it is given."""
    numbers = np.empty(stored.shape, np.float32) if out is None else out
    if dtype == "BF16":
        widen(stored, numbers)
    else:
        with np.errstate(over="ignore"):
            np.copyto(numbers, stored, casting="same_kind")
    return numbers


def quantized(numbers: Float32Array, kind: GgmlType) -> memoryview:
    """The bytes of whole rows whose length is a multiple of the type's block."""
    return Encoder(kind).encode(numbers, "F32")


class Encoder:
    """Makes pieces of one GGUF type, each in the same memory.

    Arrays made anew for each piece would cost as much in page faults as the arithmetic.
    """

    def __init__(self, kind: GgmlType) -> None:
        self._kind = kind
        self._encoded = np.empty(0, np.uint8)
        self._numbers = np.empty(_PART_ELEMENTS, np.float32)
        self._blocks = None if kind in _PLAIN else _block_quantizer(kind)

    def encode(self, stored: NDArray[Any], dtype: str) -> memoryview:
        """The bytes of stored numbers, whole blocks; the next call may overwrite them."""
        stored = np.ascontiguousarray(stored).reshape(-1)
        if _SAME.get(dtype) is self._kind:
            return stored.data.cast("B")
        encoded = self._room_for(stored.size)
        with np.errstate(all="ignore"):
            for start in range(0, stored.size, _PART_ELEMENTS):
                part = stored[start : start + _PART_ELEMENTS]
                at = encoded_bytes(self._kind, start)
                self._encode_part(part, dtype, encoded[at : at + encoded_bytes(self._kind, part.size)])
        return encoded.data

    def _room_for(self, elements: int) -> NDArray[np.uint8]:
        size_bytes = encoded_bytes(self._kind, elements)
        if size_bytes > self._encoded.size:
            self._encoded = np.empty(size_bytes, np.uint8)
        return self._encoded[:size_bytes]

    def _encode_part(self, part: NDArray[Any], dtype: str, out: NDArray[np.uint8]) -> None:
        if self._blocks is None:
            numbers = _PLAIN[self._kind](self._as_float32(part, dtype))
            out.view(numbers.dtype)[...] = numbers
        else:
            bits = part if dtype == "BF16" else self._as_float32(part, dtype).view(np.uint32)
            self._blocks.quantize(bits, out)

    def _as_float32(self, part: NDArray[Any], dtype: str) -> Float32Array:
        return as_float32(part, dtype, self._numbers[: part.size])


def _block_quantizer(kind: GgmlType) -> BlockQuantizer | NativeQ4 | NativeQ8:
    try:
        return native_quantizer(kind, _PART_ELEMENTS)
    except EngineUnavailable:
        return BlockQuantizer(kind, _PART_ELEMENTS)


def encoded_bytes(kind: GgmlType, elements: int) -> int:
    return elements // kind.block_elements * kind.block_bytes


def _to_bf16(numbers: Float32Array) -> NDArray[Any]:
    """Rounded to the nearest, at a tie to the even one; a NaN stays one."""
    bits = numbers.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    if is_nan.any():
        rounded = np.where(is_nan, (bits >> np.uint32(16)) | np.uint32(64), rounded)
    halves: NDArray[Any] = rounded.astype("<u2")
    return halves


_PLAIN = {
    GgmlType.F32: lambda numbers: numbers.astype("<f4", copy=False),
    GgmlType.F16: lambda numbers: numbers.astype("<f2"),
    GgmlType.BF16: _to_bf16,
}
