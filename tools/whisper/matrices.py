"""Matrix products in 8 bits, as nodes of a graph.

A weight has a scale for each output channel. What it is multiplied with is quantized on the way, each row
(a token, or 20 ms of sound) by itself: what stands in the other rows changes nothing, and one loud row does
not cost the others their precision. A second byte holds what the first has lost of a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .onnx_graph import CONTRIB, Graph

_TOP = 127  # of an int8, both ways
_ZERO = 128  # of the activations, which are uint8: onnxruntime has the faster products for those
_SECOND = 2 * _TOP  # rounding loses half a step; the second byte divides that into 127
_ROWS_AT_ONCE = 4096  # of a table of 51,865: its copies in F32 would take 0.5 GB
_LEAST_PEAK = 1e-9  # of a row of zeros


@dataclass(frozen=True)
class Rows:
    """Quantized activations (bytes, n, channels), and each row's largest magnitude (1, n, 1)."""

    quantized: str
    peak: str
    bytes: int


@dataclass(frozen=True)
class Weight:
    """(channels in, channels out) int8 for each byte; scales (channels out,)."""

    bytes: tuple[str, ...]
    scales: tuple[str, ...]


def quantize_rows(graph: Graph, rows: str, activation_bytes: int) -> Rows:
    """(1, n, channels), F32."""
    one = np.float32
    largest = graph.op("ReduceMax", graph.op("Abs", rows), graph.constant([-1]))
    peak = graph.op("Max", largest, graph.constant(_LEAST_PEAK, one))
    units = graph.op("Div", rows, peak)  # -1 to 1
    zero = graph.constant(_ZERO, np.uint8)
    if activation_bytes == 1:
        return Rows(graph.op("QuantizeLinear", units, graph.constant(1 / _TOP, one), zero), peak, 1)
    steps = graph.op("Mul", units, graph.constant(_TOP, one))
    first = graph.op("Round", steps)
    second = graph.op("Mul", graph.op("Sub", steps, first), graph.constant(_SECOND, one))
    both = graph.op("Concat", first, second, axis=0)
    return Rows(graph.op("QuantizeLinear", both, graph.constant(1, one), zero), peak, 2)


def quantize_weight(
    matrix: NDArray[np.float32], weight_bytes: int
) -> list[tuple[NDArray[np.int8], NDArray[np.float32]]]:
    """(out, in) -> for each byte, int8 (out, in) and scales (out,): their products' sum is the matrix."""
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    scales = np.maximum(largest, np.finfo(np.float32).tiny) / np.float32(_TOP)
    parts = [np.empty(matrix.shape, np.int8) for _ in range(weight_bytes)]
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        chosen = slice(start, start + _ROWS_AT_ONCE)
        rest = matrix[chosen] / scales[chosen, None]
        for part in parts:
            rounded = np.rint(rest)
            part[chosen] = rounded
            rest = (rest - rounded) * np.float32(_SECOND)
    return [(part, scales / np.float32(_SECOND**number)) for number, part in enumerate(parts)]


def add_weight(graph: Graph, name: str, matrix: NDArray[np.float32], weight_bytes: int = 1) -> Weight:
    parts = quantize_weight(matrix, weight_bytes)
    names = tuple(f"{name}/byte_{number}" for number in range(weight_bytes))
    for part, (values, scales) in zip(names, parts, strict=True):
        graph.weight(part, np.ascontiguousarray(values.T))
        graph.weight(f"{part}/scale", scales)
    return Weight(names, tuple(f"{part}/scale" for part in names))


def multiply(graph: Graph, rows: Rows, weight: Weight) -> str:
    """(1, n, channels out), F32."""
    products = [
        _product(graph, rows, name, scale) for name, scale in zip(weight.bytes, weight.scales, strict=True)
    ]
    total = products[0]
    for product in products[1:]:
        total = graph.op("Add", total, product)
    if rows.bytes == 2:
        first, second = graph.ops("Split", 2, total, axis=0, num_outputs=2)
        total = graph.op("Add", first, graph.op("Mul", second, graph.constant(1 / _SECOND, np.float32)))
    return graph.op("Mul", total, rows.peak)


def _product(graph: Graph, rows: Rows, name: str, scale: str) -> str:
    zeros = graph.constant(_ZERO, np.uint8), graph.constant(0, np.int8)
    step = graph.constant(1 / _TOP, np.float32)
    return graph.op("MatMulIntegerToFloat", rows.quantized, name, step, scale, *zeros, domain=CONTRIB)
