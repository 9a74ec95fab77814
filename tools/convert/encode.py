"""Numbers from one type into another: what ggml's reference quantization makes, byte for byte.

Layouts: llama.cpp ggml/src/ggml-common.h, block_q8_0 and block_q4_0; roundings: ggml-quants.c,
quantize_row_q8_0_ref and quantize_row_q4_0_ref, and ggml_compute_fp32_to_bf16.
Checked against gguf-py's quantize: tests/test_convert.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...gguf_types import GgmlType

Float32Array = NDArray[np.float32]

# What each stored type is when nothing has to be done.
_SAME = {"BF16": GgmlType.BF16, "F16": GgmlType.F16, "F32": GgmlType.F32}


def encoded(stored: NDArray[Any], dtype: str, kind: GgmlType) -> memoryview:
    """The bytes of stored numbers, whole rows, in a GGUF type."""
    if _SAME.get(dtype) is kind:
        return np.ascontiguousarray(stored).data.cast("B")
    return quantized(as_float32(stored, dtype), kind)


def as_float32(stored: NDArray[Any], dtype: str) -> Float32Array:
    if dtype == "BF16":
        numbers: Float32Array = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return numbers
    with np.errstate(over="ignore"):
        return stored.astype(np.float32, copy=False)


def quantized(numbers: Float32Array, kind: GgmlType) -> memoryview:
    """The bytes of rows whose length is a multiple of the type's block."""
    encoders: dict[GgmlType, Callable[[Float32Array], NDArray[Any]]] = {
        GgmlType.F32: lambda rows: rows.astype("<f4", copy=False),
        GgmlType.F16: _to_f16,
        GgmlType.BF16: _to_bf16,
        GgmlType.Q8_0: _to_q8_0,
        GgmlType.Q4_0: _to_q4_0,
    }
    return np.ascontiguousarray(encoders[kind](numbers)).data.cast("B")


def _to_f16(numbers: Float32Array) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return numbers.astype("<f2")


def _to_bf16(numbers: Float32Array) -> NDArray[Any]:
    """Rounded to the nearest, at a tie to the even one; a NaN stays one."""
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    with np.errstate(over="ignore"):
        rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    if is_nan.any():
        rounded = np.where(is_nan, (bits >> np.uint32(16)) | np.uint32(64), rounded)
    halves: NDArray[Any] = rounded.astype("<u2")
    return halves


def _to_q8_0(numbers: Float32Array) -> NDArray[Any]:
    """(blocks, 34) a half-precision scale and 32 numbers from -127 to 127."""
    blocks = numbers.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(all="ignore"):
        steps = blocks * np.where(scales == 0, np.float32(0), np.float32(1) / scales)
        whole = np.trunc(steps)
        whole += np.sign(steps) * (np.abs(steps - whole) >= np.float32(0.5))  # halves go away from 0
        return _joined(scales, whole.astype(np.int8).view(np.uint8))


def _to_q4_0(numbers: Float32Array) -> NDArray[Any]:
    """(blocks, 18) a half-precision scale and 32 numbers from 0 to 15, the first 16 in the low bits."""
    blocks = numbers.reshape(-1, 32)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    scales = largest / np.float32(-8)
    with np.errstate(all="ignore"):
        steps = blocks * np.where(scales == 0, np.float32(0), np.float32(1) / scales) + np.float32(8.5)
        whole = np.trunc(steps).astype(np.uint8).clip(0, 15)
        return _joined(scales, whole[:, :16] | (whole[:, 16:] << np.uint8(4)))


def _joined(scales: Float32Array, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([scales.astype("<f2").view(np.uint8).reshape(-1, 2), packed], axis=1)
