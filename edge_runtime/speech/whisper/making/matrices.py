"""Matrix products in 8 bits for many rows, as nodes of a graph.

A weight has a scale for each output channel. What it is multiplied with is quantized on the way, each row
(20 ms of sound) by itself: what stands in the other rows changes nothing, and one loud row does not cost the
others their precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .onnx_graph import CONTRIB, Graph

_TOP = 127  # of an int8, both ways
_ZERO = 128  # of the activations, which are uint8: onnxruntime has the faster products for those
_LEAST_PEAK = 1e-9  # of a row of zeros


@dataclass(frozen=True)
class Rows:
    """Quantized activations (1, n, channels), and each row's largest magnitude (1, n, 1)."""

    quantized: str
    peak: str


class RowProducts:
    """The products of a network that is asked for hundreds of rows at once."""

    def rows(self, graph: Graph, tensor: str) -> Rows:
        """(1, n, channels), F32."""
        one, last = np.float32, graph.constant([-1])
        # Magnitudes of 10 s of sound would have to be written down first: a tenth of the encoder's time.
        highest, lowest = graph.op("ReduceMax", tensor, last), graph.op("ReduceMin", tensor, last)
        peak = graph.op("Max", highest, graph.op("Neg", lowest), graph.constant(_LEAST_PEAK, one))
        units = graph.op("Div", tensor, peak)  # -1 to 1
        zero = graph.constant(_ZERO, np.uint8)
        return Rows(graph.op("QuantizeLinear", units, graph.constant(1 / _TOP, one), zero), peak)

    def linear(
        self, graph: Graph, rows: Rows, name: str, matrix: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> str:
        """(1, n, channels out), F32; `matrix`: (out, in)."""
        values, scales = quantize_weight(matrix)
        weight = graph.weight(f"{name}/weight", np.ascontiguousarray(values.T))
        scale = graph.weight(f"{name}/weight/scale", scales)
        zeros = graph.constant(_ZERO, np.uint8), graph.constant(0, np.int8)
        step = graph.constant(1 / _TOP, np.float32)
        product = graph.op(
            "MatMulIntegerToFloat", rows.quantized, weight, step, scale, *zeros, domain=CONTRIB
        )
        product = graph.op("Mul", product, rows.peak)
        return graph.op("Add", product, graph.weight(f"{name}/bias", bias))


def quantize_weight(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(out, in) -> int8 (out, in) and scales (out,)."""
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    scales = np.maximum(largest, np.finfo(np.float32).tiny) / np.float32(_TOP)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales
