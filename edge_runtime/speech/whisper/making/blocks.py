"""Matrix products in blocks of 8 or 4 bits, as one node each: for a few rows, whose time is the weights'.

64 numbers in a row share a scale, of the weight as of what it is multiplied with, which the product itself
quantizes, to 8 bits. Where a whole row of 512 shares one, Whisper's decoder often chooses another token than
in F32; with one for so few it does not.

Source: onnxruntime, docs/ContribOperators.md, MatMulNBits. Its products are fast with 8 bits from onnxruntime
1.22 on, on ARM from 1.23 on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .onnx_graph import CONTRIB, Graph

BLOCK = 64  # numbers
_ROWS_AT_ONCE = 4096  # of a table of 51,865: its copies in F32 would take 0.5 GB
_EIGHT_BIT_PRODUCTS = 4  # the operator's "accuracy level"


class Blocks(NamedTuple):
    """uint8 (rows, blocks, BLOCK * bits / 8), the lower half of a byte first; scales (rows * blocks,)."""

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]


class BlockProducts:
    """The products of a network that is asked for a few rows at a time."""

    def rows(self, _graph: Graph, tensor: str) -> str:
        """(1, n, channels in), as linear() takes it."""
        return tensor

    def linear(
        self, graph: Graph, rows: str, name: str, matrix: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> str:
        """(1, n, channels out); `matrix`: (out, in)."""
        return multiply(graph, rows, f"{name}/weight", matrix, 8, graph.weight(f"{name}/bias", bias))


def multiply(
    graph: Graph, rows: str, name: str, matrix: NDArray[np.float32], bits: int, bias: str = ""
) -> str:
    """(1, n, in) -> (1, n, out); `matrix`: (out, in)."""
    blocks = quantize_blocks(matrix, bits)
    values = graph.weight(f"{name}/bits_{bits}", blocks.values)
    scales = graph.weight(f"{name}/scales", blocks.scales)
    outputs, inputs = matrix.shape
    more = ("", "", bias) if bias else ()  # zero points and an order of the channels: neither
    sizes = {"K": inputs, "N": outputs, "bits": bits, "block_size": BLOCK}
    return graph.op(
        "MatMulNBits",
        *(rows, values, scales, *more),
        domain=CONTRIB,
        accuracy_level=_EIGHT_BIT_PRODUCTS,
        **sizes,
    )


def quantize_blocks(matrix: NDArray[np.float32], bits: int) -> Blocks:
    """(rows, channels). A block's largest number becomes the lowest step, of which there is one more."""
    rows, channels = matrix.shape
    count = -(-channels // BLOCK)
    values = np.empty((rows, count, BLOCK * bits // 8), np.uint8)
    scales = np.empty((rows, count), np.float32)
    for start in range(0, rows, _ROWS_AT_ONCE):
        chosen = slice(start, start + _ROWS_AT_ONCE)
        padded = np.pad(matrix[chosen], ((0, 0), (0, count * BLOCK - channels)))
        steps, scales[chosen] = _quantize(padded.reshape(-1, count, BLOCK), 1 << (bits - 1))
        values[chosen] = steps if bits == 8 else steps[..., ::2] | steps[..., 1::2] << 4
    return Blocks(values, scales.reshape(-1))


def _quantize(blocks: NDArray[np.float32], zero: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(rows, blocks, BLOCK) -> steps of the same shape, `zero` for 0.0, and scales (rows, blocks)."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)
    scales = np.where(largest == 0, 1, largest / np.float32(-zero)).astype(np.float32)
    steps = np.clip(np.rint(blocks / scales) + zero, 0, 2 * zero - 1)
    return steps.astype(np.uint8), scales[..., 0]
