"""Quantizing numbers into blocks with ggml's functions: the same bytes as blocks.py, faster.

Q4_0 is made by ggml's reference. For Q8_0 that is slower than numpy, but the function that a CPU has for
activations is not, and for BF16 it can be known where the two differ. How a number is rounded depends on
its mantissa and on that of its block's largest one, seven bits each, and on how many powers of two lie
between them. All of that is tried once a process. The reference makes the blocks that may differ again:
on x86-64 one in thirty, most of them because a number is exactly half as large as the largest.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends.llama.block_quantizer import activation_quantizer, reference_quantizer
from edge_runtime.gguf.types import GgmlType

from .blocks import BLOCK, Bits, BlockQuantizer, widen

Magnitudes = NDArray[np.uint16]  # a BF16 number's bits but the sign's: they have the order of the numbers

_MAGNITUDE, _SIGN, _INFINITE, _ONE = (np.uint16(bits) for bits in (0x7FFF, 0x8000, 0x7F80, 0x3F80))
_MANTISSAS = 1 << 7
_SMALLER = 10 * _MANTISSAS  # ten powers of two below the largest, every number is rounded to 0
_NONE, _ANY = np.uint16(0), np.uint16(0xFFFF)
_BLOCK_BYTES = GgmlType.Q8_0.block_bytes


def native_quantizer(kind: GgmlType, most_elements: int) -> NativeQ4 | NativeQ8:
    """Raises EngineUnavailable where llama.cpp is not here, or its functions are not."""
    return NativeQ8(most_elements) if kind is GgmlType.Q8_0 else NativeQ4(kind, most_elements)


class NativeQ4:
    """Quantizes again and again in the same memory."""

    def __init__(self, kind: GgmlType, most_elements: int) -> None:
        self._reference = reference_quantizer(kind)
        self._numbers = np.empty(most_elements, np.float32)

    def quantize(self, bits: Bits, out: NDArray[np.uint8]) -> None:
        self._reference(_floats(bits, self._numbers), out)


class NativeQ8:
    """Quantizes again and again in the same memory."""

    def __init__(self, most_elements: int) -> None:
        self._reference = reference_quantizer(GgmlType.Q8_0)
        self._quantize = activation_quantizer()
        self._suspects = _suspects()
        self._of_floats = BlockQuantizer(GgmlType.Q8_0, most_elements)
        self._numbers = np.empty(most_elements, np.float32)
        self._magnitudes = np.empty(most_elements, np.uint16)

    def quantize(self, bits: Bits, out: NDArray[np.uint8]) -> None:
        if bits.itemsize != 2:
            self._of_floats.quantize(bits, out)
            return
        numbers = _floats(bits, self._numbers)
        magnitudes = np.bitwise_and(bits, _MAGNITUDE, out=self._magnitudes[: bits.size])
        if magnitudes.max(initial=0) >= _INFINITE:  # or NaN, which the fast function may leave out
            self._reference(numbers, out)
            return
        self._quantize(numbers, out)
        blocks = out.reshape(-1, _BLOCK_BYTES)
        wrong = self._may_be_wrong(blocks, magnitudes.reshape(-1, BLOCK))
        right = np.empty((wrong.size, _BLOCK_BYTES), np.uint8)
        self._reference(numbers.reshape(-1, BLOCK)[wrong].reshape(-1), right.reshape(-1))
        blocks[wrong] = right

    def _may_be_wrong(self, blocks: NDArray[np.uint8], magnitudes: Magnitudes) -> NDArray[np.intp]:
        """Which blocks."""
        suspects = self._suspects[blocks[:, :2].view("<u2")[:, 0]]
        doubtful = np.flatnonzero(suspects != _NONE)
        suspects = suspects[doubtful]
        wrong = suspects == _ANY
        wrong[np.flatnonzero(magnitudes[doubtful] == suspects[:, np.newaxis]) // BLOCK] = True
        blocks_wrong: NDArray[np.intp] = doubtful[wrong]
        return blocks_wrong


def _floats(bits: Bits, room: NDArray[np.float32]) -> NDArray[np.float32]:
    return bits.view(np.float32) if bits.itemsize == 4 else widen(bits, room[: bits.size])


@lru_cache(maxsize=1)
def _suspects() -> Magnitudes:
    """(65536,) by the bits of a block's scale: the magnitude that may be rounded otherwise there.

    _NONE of them, or _ANY: a scale that is no normal number says too little about the largest one.
    """
    scales = np.arange(1 << 16, dtype=np.uint16)
    is_normal = ((scales & 0x7C00) != 0) & ((scales & 0x7C00) != 0x7C00)
    sizes = np.where(is_normal, scales & _MAGNITUDE, 0).astype(np.uint16).view(np.float16)
    numbers = sizes.astype(np.float32) * np.float32(127)
    largest = ((numbers.view(np.uint32) + np.uint32(0x8000)) >> np.uint32(16)).astype(np.uint16)
    below = _rounded_otherwise()[largest % _MANTISSAS]
    suspects: Magnitudes = np.where((below == _NONE) | (below == _ANY), below, largest - below)
    return np.where(is_normal, suspects, _ANY)


def _rounded_otherwise() -> Magnitudes:
    """(128,) by the largest number's mantissa: how much smaller is the magnitude that differs."""
    samples = np.stack([_every_quotient(int(_ONE) | mantissa) for mantissa in range(_MANTISSAS)])
    numbers = widen(samples, np.empty(samples.shape, np.float32)).reshape(-1)
    made = np.empty((2, samples.size // BLOCK, _BLOCK_BYTES), np.uint8)
    reference_quantizer(GgmlType.Q8_0)(numbers, made[0].reshape(-1))
    activation_quantizer()(numbers, made[1].reshape(-1))
    differs = (made[0] != made[1])[:, 2:].reshape(samples.shape)
    found = np.full(_MANTISSAS, _NONE)
    for mantissa in range(_MANTISSAS):
        below = np.unique((_ONE | mantissa) - (samples[mantissa][differs[mantissa]] & _MAGNITUDE))
        if below.size:
            found[mantissa] = below[0] if below.size == 1 and below[0] else _ANY
    return found


def _every_quotient(largest: int) -> NDArray[np.uint16]:
    """(blocks, 32) `largest` comes first, and after it in one block or another all that counts beside it."""
    smaller = np.arange(largest - _SMALLER, largest + 1, dtype=np.uint16)
    others = np.concatenate([smaller, smaller | _SIGN])
    rows = np.resize(others, (-(-others.size // (BLOCK - 1)), BLOCK - 1))
    return np.concatenate([np.full((len(rows), 1), largest, np.uint16), rows], axis=1)
