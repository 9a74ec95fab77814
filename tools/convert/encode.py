"""Numbers from one type into another: what ggml's reference quantization makes, byte for byte.

Layouts: llama.cpp ggml/src/ggml-common.h, block_q8_0 and block_q4_0; roundings: ggml-quants.c,
quantize_row_q8_0_ref and quantize_row_q4_0_ref, and ggml_compute_fp32_to_bf16.
Checked against gguf-py's quantize: tests/test_convert_encode.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...gguf_types import GgmlType

Float32Array = NDArray[np.float32]

_BLOCK = 32  # numbers under one scale, in both quantized types
# What each stored type is when nothing has to be done.
_SAME = {"BF16": GgmlType.BF16, "F16": GgmlType.F16, "F32": GgmlType.F32}
_SIGN_BIT = np.uint32(1 << 31)
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0)).view(np.uint32)


def as_float32(stored: NDArray[Any], dtype: str, out: Float32Array | None = None) -> Float32Array:
    """(numbers,) of a safetensors type -> (numbers,), in `out` where it is given."""
    numbers = np.empty(stored.shape, np.float32) if out is None else out
    if dtype == "BF16":
        np.left_shift(stored, np.uint32(16), out=numbers.view(np.uint32), dtype=np.uint32)
    else:
        with np.errstate(over="ignore"):
            np.copyto(numbers, stored, casting="same_kind")
    return numbers


def quantized(numbers: Float32Array, kind: GgmlType) -> memoryview:
    """The bytes of whole rows whose length is a multiple of the type's block."""
    return Encoder(kind, numbers.size).quantize(numbers)


class Encoder:
    """Makes chunks of one GGUF type, each in the same memory.

    Arrays made anew for each chunk would cost as much in page faults as the arithmetic.
    """

    def __init__(self, kind: GgmlType, most_elements: int) -> None:
        self._kind = kind
        self._numbers = np.empty(most_elements, np.float32)
        self._work, self._more = np.empty_like(self._numbers), np.empty_like(self._numbers)

    def encode(self, stored: NDArray[Any], dtype: str) -> memoryview:
        """The bytes of stored numbers, whole blocks; the next call may overwrite them."""
        if _SAME.get(dtype) is self._kind:
            return np.ascontiguousarray(stored).data.cast("B")
        return self.quantize(as_float32(stored, dtype, self._numbers[: stored.size].reshape(stored.shape)))

    def quantize(self, numbers: Float32Array) -> memoryview:
        """The same for numbers of single precision."""
        numbers = np.ascontiguousarray(numbers).reshape(-1)
        with np.errstate(all="ignore"):
            if self._kind is GgmlType.Q8_0:
                encoded = self._to_q8_0(numbers)
            elif self._kind is GgmlType.Q4_0:
                encoded = self._to_q4_0(numbers)
            else:
                encoded = _PLAIN[self._kind](numbers)
        return encoded.data.cast("B")

    def _to_q8_0(self, numbers: Float32Array) -> NDArray[Any]:
        """(blocks, 34 bytes) a half-precision scale and 32 numbers from -127 to 127."""
        lowest, highest = self._extremes(numbers)
        scales = np.maximum(highest, -lowest) / np.float32(127) + np.float32(0)  # + 0: -0.0 becomes 0.0
        steps = self._in_steps(numbers, scales)
        # Halves go away from 0, as roundf has them: cutting off after adding what is just below a half.
        halves = self._more[: steps.size].view(np.uint32)
        np.bitwise_and(steps.view(np.uint32), _SIGN_BIT, out=halves)
        np.bitwise_or(halves, _BELOW_HALF, out=halves)
        np.add(steps, halves.view(np.float32), out=steps)
        return _joined(scales, steps.astype(np.int8))

    def _to_q4_0(self, numbers: Float32Array) -> NDArray[Any]:
        """(blocks, 18 bytes) a half-precision scale and 32 numbers from 0 to 15, two in a byte."""
        scales = self._furthest(numbers) / np.float32(-8)
        steps = self._in_steps(numbers, scales)
        np.add(steps, np.float32(8.5), out=steps)
        whole = steps.astype(np.uint8)
        whole -= whole >> np.uint8(4)  # 16 becomes 15
        words = whole.view(np.uint64).reshape(-1, 4)  # (blocks, 4) of 8 numbers each
        packed = np.empty((len(words), 2), np.uint64)
        for half in range(2):
            packed[:, half] = words[:, half] | (words[:, 2 + half] << np.uint64(4))
        return _joined(scales, packed)

    def _extremes(self, numbers: Float32Array) -> tuple[Float32Array, Float32Array]:
        """(blocks,) the lowest and the highest number of each.

        Blocks are turned into columns first, two numbers wide: numpy finds extremes along short rows
        some eight times as slowly as across long ones.
        """
        columns = self._work[: numbers.size].reshape(_BLOCK // 2, -1)
        np.copyto(columns.view(np.uint64), numbers.view(np.uint64).reshape(-1, _BLOCK // 2).T)
        lowest, highest = columns.min(axis=0), columns.max(axis=0)
        return np.minimum(lowest[::2], lowest[1::2]), np.maximum(highest[::2], highest[1::2])

    def _furthest(self, numbers: Float32Array) -> Float32Array:
        """(blocks,) of each the number furthest from 0, the first of several."""
        lowest, highest = self._extremes(numbers)
        furthest: Float32Array = np.where(highest > -lowest, highest, lowest)
        ties = np.flatnonzero(highest == -lowest)
        blocks = numbers.reshape(-1, _BLOCK)[ties]
        furthest[ties] = blocks[np.arange(len(ties)), np.abs(blocks).argmax(axis=1)]
        furthest += np.float32(0)  # -0.0 becomes 0.0
        return furthest

    def _in_steps(self, numbers: Float32Array, scales: Float32Array) -> Float32Array:
        """(numbers,) each by its block's scale; by a scale of 0 it is 0."""
        steps = self._work[: numbers.size]
        inverse = np.float32(1) / scales
        inverse[scales == 0] = 0
        np.multiply(numbers.reshape(-1, _BLOCK), inverse[:, None], out=steps.reshape(-1, _BLOCK))
        return steps


def _joined(scales: Float32Array, packed: NDArray[Any]) -> NDArray[np.uint16]:
    """(blocks, words) each block's scale and what is under it."""
    words = packed.view(np.uint16).reshape(len(scales), -1)
    blocks = np.empty((len(scales), 1 + words.shape[1]), np.uint16)
    blocks[:, 0] = scales.astype("<f2").view(np.uint16)
    blocks[:, 1:] = words
    return blocks


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
