"""The table of tokens, read in both directions: a token's row goes in, and each row's product comes out.

Kept once, in two bytes a number. The product with all 51,865 rows takes the first byte alone; only the rows
that come out highest are multiplied again, with the second. Which token wins is thus decided as F32 would,
and the second half of the table costs the memory of the few rows that are touched.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .matrices import Weight, multiply, quantize_rows, quantize_weight
from .network import Network

_NAME = "decoder/embeddings/weight"
_REFINED = 16  # rows for each token: some of the highest may be control tokens, which the caller rules out
_BYTES = 2


class Embedding:
    def __init__(self, network: Network) -> None:
        graph, shape = network.graph, network.shape
        self._graph, self._shape = graph, shape
        matrix = network.file.floats(_NAME, (shape.vocabulary, shape.width))
        (first, scales), (second, second_scales) = quantize_weight(matrix, _BYTES)
        self._first = graph.weight(f"{_NAME}/byte_0", np.ascontiguousarray(first.T))  # (width, vocabulary)
        self._scales = graph.weight(f"{_NAME}/byte_0/scale", scales)
        self._second = graph.weight(f"{_NAME}/byte_1", second)  # (vocabulary, width)
        self._second_scales = graph.weight(f"{_NAME}/byte_1/scale", second_scales)

    def look_up(self, tokens: str) -> str:
        """(1, n) -> (1, n, width)"""
        graph = self._graph
        turned = graph.op("Gather", self._first, tokens, axis=1)  # (width, 1, n)
        first = self._scaled(graph.op("Transpose", turned, perm=[1, 2, 0]), self._scales, tokens)
        second = self._scaled(graph.op("Gather", self._second, tokens, axis=0), self._second_scales, tokens)
        return graph.op("Add", first, second)

    def logits(self, text: str) -> str:
        """(1, n, width) -> (1, n, vocabulary)"""
        graph = self._graph
        rows = quantize_rows(graph, text, _BYTES)
        coarse = multiply(graph, rows, Weight((self._first,), (self._scales,)))
        _, highest = graph.ops(
            "TopK", 2, coarse, graph.constant([min(_REFINED, self._shape.vocabulary)]), axis=-1, sorted=0
        )
        return graph.op(
            "ScatterElements", coarse, highest, self._rest(text, highest), axis=-1, reduction="add"
        )

    def _rest(self, text: str, tokens: str) -> str:
        """What the second byte adds to the logits of `tokens` (1, n, k): as many numbers."""
        graph = self._graph
        table = self._scaled(graph.op("Gather", self._second, tokens, axis=0), self._second_scales, tokens)
        column = graph.op("Unsqueeze", text, graph.constant([3]))  # (1, n, width, 1)
        return graph.op("Squeeze", graph.op("MatMul", table, column), graph.constant([3]))

    def _scaled(self, values: str, scales: str, tokens: str) -> str:
        graph = self._graph
        chosen = graph.op("Unsqueeze", graph.op("Gather", scales, tokens, axis=0), graph.constant([-1]))
        return graph.op("Mul", graph.op("Cast", values, to=TensorProto.FLOAT), chosen)
