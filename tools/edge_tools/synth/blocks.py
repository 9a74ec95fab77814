"""Random weights in ggml's own block formats: valid, small, and the same for the same seed.

Random bits make sound blocks of every format here except for the scales, which are
half-precision numbers: random ones would be infinite or not numbers at all. They are set
so that weights come out with a mean of about 0 and a standard deviation of about 0.02, as in
real models; after the norms of a network nothing then overflows.

Layouts: llama.cpp ggml/src/ggml-common.h, block_q4_0 and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType

WEIGHT_DEVIATION = 0.02  # our choice; Gemma's matrices have 0.01 to 0.05
_POOL_BYTES = 8 << 20  # of random blocks, which every tensor of the type repeats from a place of its own
_MIN_INT8 = 0x80  # -128, which quantizers never write


@dataclass(frozen=True)
class _Layout:
    """Of a block of random bits whose scale is to be set."""

    scale_at: int  # where the half-precision scale stands, bytes
    deviation: float  # of the block's weights with a scale of 1 and the offset below
    offset_at: int | None = None  # where the second scale stands
    offset_ratio: float = 0.0  # of it to the first, such that the weights' mean is 0
    signed: tuple[int, int] = (0, 0)  # bytes from, to that hold int8


# Worked out for independent uniform bits: Q4_0 is scale * (0..15 - 8); Q4_K is
# scale * (0..63) * (0..15) - offset * (0..63).
_LAYOUTS = {
    GgmlType.Q4_0: _Layout(0, 4.61),
    GgmlType.Q4_1: _Layout(0, 4.61, 2, -7.5),
    GgmlType.Q5_0: _Layout(0, 9.23),
    GgmlType.Q5_1: _Layout(0, 9.23, 2, -15.5),
    GgmlType.Q8_0: _Layout(0, 73.6, signed=(2, 34)),
    GgmlType.Q4_K: _Layout(0, 258.0, 2, 7.5),
    GgmlType.Q5_K: _Layout(0, 527.0, 2, 15.5),
    GgmlType.Q6_K: _Layout(208, 1360.0, signed=(192, 208)),
    GgmlType.IQ4_NL: _Layout(0, 68.0),
}
QUANTIZATIONS = (GgmlType.F32, GgmlType.F16, GgmlType.BF16, *_LAYOUTS)

# What llama-quantize takes instead when a row is no multiple of 256.
# Source: llama.cpp src/llama-quant.cpp, tensor_type_fallback.
_FOR_SHORT_ROWS = {GgmlType.Q4_K: GgmlType.Q5_0, GgmlType.Q5_K: GgmlType.Q5_1, GgmlType.Q6_K: GgmlType.Q8_0}


def type_for_rows(wanted: GgmlType, row_elements: int) -> GgmlType:
    """`wanted`, or the type that converters choose where it cannot hold rows of this length."""
    if row_elements % wanted.block_elements:
        wanted = _FOR_SHORT_ROWS.get(wanted, GgmlType.F16)
    return GgmlType.F16 if row_elements % wanted.block_elements else wanted


class RandomBlocks:
    """Streams random tensors out of one pool a type: 8 MiB each, made when first needed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._shifts = np.random.default_rng(seed)
        self._pools: dict[GgmlType, bytes] = {}

    def stream(self, kind: GgmlType, size_bytes: int) -> Iterator[memoryview]:
        """Pieces that make up `size_bytes`, whole blocks of `kind`."""
        pool = self._pool(kind)
        start = int(self._shifts.integers(len(pool) // kind.block_bytes)) * kind.block_bytes
        while size_bytes:
            piece = memoryview(pool)[start : start + size_bytes]
            yield piece
            size_bytes -= len(piece)
            start = 0

    def near_one(self, elements: int) -> NDArray[np.float32]:
        """(elements,) as the weights of a norm."""
        return (1 + 0.1 * self._shifts.standard_normal(elements, np.float32)).astype("<f4", copy=False)

    def _pool(self, kind: GgmlType) -> bytes:
        if kind not in self._pools:
            rng = np.random.default_rng([self._seed, int(kind)])
            self._pools[kind] = random_blocks(rng, kind, _POOL_BYTES // kind.block_bytes)
        return self._pools[kind]


def random_blocks(rng: np.random.Generator, kind: GgmlType, count: int) -> bytes:
    """`count` valid blocks of one of QUANTIZATIONS."""
    if kind in _LAYOUTS:
        return _quantized(rng, kind, _LAYOUTS[kind], count).tobytes()
    numbers = rng.standard_normal(count, np.float32) * np.float32(WEIGHT_DEVIATION)
    if kind is GgmlType.F16:
        return bytes(numbers.astype("<f2"))
    if kind is GgmlType.BF16:  # the upper half of each F32
        return bytes((numbers.astype("<f4").view("<u4") >> 16).astype("<u2"))
    return bytes(numbers.astype("<f4"))


def _quantized(rng: np.random.Generator, kind: GgmlType, layout: _Layout, count: int) -> NDArray[np.uint8]:
    """(count, block_bytes)"""
    blocks = rng.integers(0, 256, (count, kind.block_bytes), np.uint8)
    signed = blocks[:, slice(*layout.signed)]
    signed[signed == _MIN_INT8] += 1
    # A little spread from block to block, whose root mean square is 1.
    scales = rng.uniform(0.75, 1.22, count) * (WEIGHT_DEVIATION / layout.deviation)
    _set_half(blocks, layout.scale_at, scales)
    if layout.offset_at is not None:
        _set_half(blocks, layout.offset_at, scales * layout.offset_ratio)
    return blocks


def _set_half(blocks: NDArray[np.uint8], at: int, values: NDArray[np.float64]) -> None:
    blocks[:, at : at + 2] = values.astype("<f2").view(np.uint8).reshape(-1, 2)
