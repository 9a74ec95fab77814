"""Quantizing numbers into blocks in numpy, up to some 100,000 at a time: see encode.py.

Blocks are turned into columns first, four numbers wide: (8, blocks * 4). numpy computes some eight
times as fast across such long rows as along blocks. Signs and extremes are taken from the stored bits,
for BF16 thus from 16 of them: magnitudes have the order of their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType

Float32Array = NDArray[np.float32]
Bits = NDArray[Any]  # uint16 of BF16, the upper half of an F32, or uint32 of F32

BLOCK = 32  # numbers under one scale, in both quantized types
_WIDE = 4  # numbers of a block side by side
_ROWS = BLOCK // _WIDE
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))


def widen(bits: Bits, out: Float32Array) -> Float32Array:
    """The numbers that have these bits, in `out`, of the same shape."""
    if bits.itemsize == 4:
        np.copyto(out.view(np.uint32), bits)
    else:
        np.left_shift(bits, np.uint32(16), out=out.view(np.uint32), dtype=np.uint32)
    return out


class BlockQuantizer:
    """Quantizes again and again in the same memory, to Q8_0 or Q4_0."""

    def __init__(self, kind: GgmlType, most_elements: int) -> None:
        self.quantize = self._to_q8_0 if kind is GgmlType.Q8_0 else self._to_q4_0
        self._bits = np.empty((2, most_elements), np.uint32)
        self._steps = np.empty(most_elements, np.float32)
        self._whole = np.empty((2, most_elements), np.uint8)

    def _to_q8_0(self, bits: Bits, out: NDArray[np.uint8]) -> None:
        """`out`: blocks of 34 bytes, a half-precision scale and 32 numbers from -127 to 127."""
        columns = self._in_columns(bits)
        magnitudes = self._bits[1].view(bits.dtype)[: bits.size].reshape(_ROWS, -1)
        np.bitwise_and(columns, _magnitude(bits), out=magnitudes)
        scales = _numbers(_along_blocks(magnitudes.max(axis=0))) / np.float32(127)
        steps = self._in_steps(magnitudes, scales)
        # Halves go away from 0, as roundf has them: cutting off after adding what is just below a half.
        np.add(steps, _BELOW_HALF, out=steps)
        whole, signs = (part[: bits.size].reshape(_ROWS, -1) for part in self._whole)
        np.copyto(whole, steps, casting="unsafe")
        np.greater(columns, _magnitude(bits), out=signs.view(np.bool_))
        np.negative(signs, out=signs)  # 255 where a number is negative: whole numbers in two's complement
        np.bitwise_xor(whole, signs, out=whole)
        np.subtract(whole, signs, out=whole)
        _join(scales, whole, out)

    def _to_q4_0(self, bits: Bits, out: NDArray[np.uint8]) -> None:
        """`out`: blocks of 18 bytes, a half-precision scale and 32 numbers from 0 to 15, two in a byte."""
        columns = self._in_columns(bits)
        scales = _furthest(columns, bits.reshape(-1, BLOCK)) / np.float32(-8)
        steps = self._in_steps(columns, scales)
        np.add(steps, np.float32(8.5), out=steps)
        whole = self._whole[0, : bits.size].reshape(_ROWS, -1)
        np.copyto(whole, steps, casting="unsafe")
        np.minimum(whole, np.uint8(15), out=whole)
        first, second = np.split(whole.view(np.uint32), 2)  # halves of each block, four numbers in one
        second <<= np.uint32(4)
        second |= first
        _join(scales, second.view(np.uint8), out)

    def _in_columns(self, bits: Bits) -> Bits:
        """(8, blocks * 4)"""
        columns: Bits = self._bits[0].view(bits.dtype)[: bits.size].reshape(_ROWS, -1)
        four = np.dtype(np.uint64 if bits.itemsize == 2 else np.complex128)  # numbers in one piece
        np.copyto(columns.view(four), bits.view(four).reshape(-1, _ROWS).T)
        return columns

    def _in_steps(self, columns: Bits, scales: Float32Array) -> Float32Array:
        """(8, blocks * 4) each number by its block's scale; by a scale of 0 it is 0."""
        steps = widen(columns, self._steps[: columns.size].reshape(columns.shape))
        inverse = np.float32(1) / scales
        inverse[scales == 0] = 0
        steps *= np.repeat(inverse, _WIDE)
        return steps


def _magnitude(bits: Bits) -> Any:
    """All bits but the sign's."""
    return bits.dtype.type(np.iinfo(bits.dtype).max >> 1)


def _numbers(bits: Bits) -> Float32Array:
    return widen(bits, np.empty(bits.shape, np.float32))


def _along_blocks(highest: Bits) -> Bits:
    """(blocks * 4,) -> (blocks,) the highest of each four."""
    pairs = np.maximum(highest[::2], highest[1::2])
    return np.maximum(pairs[::2], pairs[1::2])


def _furthest(columns: Bits, blocks: Bits) -> Float32Array:
    """(blocks,) of each the number furthest from 0, the first of several."""
    magnitude = _magnitude(columns)
    signed = columns.view(f"i{columns.itemsize}")
    highest = np.maximum(_along_blocks(signed.max(axis=0)), 0).view(columns.dtype)
    # Of all bits the highest are those of the lowest number, or of the highest where none is negative.
    lowest = _along_blocks(columns.max(axis=0))
    furthest = np.where((lowest & magnitude) > highest, lowest, highest)
    ties = np.flatnonzero(lowest == highest | ~magnitude)
    tied = blocks[ties]
    furthest[ties] = tied[np.arange(len(ties)), (tied & magnitude).argmax(axis=1)]
    numbers = _numbers(furthest)
    numbers += np.float32(0)  # -0.0 becomes 0.0
    return numbers


def _join(scales: Float32Array, columns: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Each block's scale, and after it what is in its columns."""
    blocks = out.reshape(len(scales), -1)
    blocks[:, :2].view("<f2")[:, 0] = scales
    blocks[:, 2:].view(np.uint32)[...] = columns.view(np.uint32).T
