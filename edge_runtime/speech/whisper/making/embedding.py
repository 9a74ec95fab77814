"""The table of tokens, read in both directions: a token's row goes in, and each row's product comes out.

The product with all 51,865 rows takes a copy in 4 bits: its time is that of reading it, for every token.
Only the rows that come out highest are multiplied again, in F32, out of the table in F16, of which no more
is read than these rows. Which token wins is thus decided as F32 would.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .blocks import multiply
from .network import Network

_NAME = "decoder/embeddings/weight"
_COARSE_BITS = 4
# Rows for each token. Of 758 tokens in five languages none stood lower than third in 4 bits; some of the
# highest may be control tokens, which the caller rules out.
_REFINED = 16


class Embedding:
    def __init__(self, network: Network[str]) -> None:
        graph, shape = network.graph, network.shape
        self._graph, self._shape = graph, shape
        self._matrix = network.file.floats(_NAME, (shape.vocabulary, shape.width))
        self._table = graph.weight(_NAME, self._matrix.astype(np.float16))

    def look_up(self, tokens: str) -> str:
        """(1, n) -> (1, n, width); whole numbers of any shape."""
        graph = self._graph
        return graph.op("Cast", graph.op("Gather", self._table, tokens, axis=0), to=TensorProto.FLOAT)

    def logits(self, text: str) -> str:
        """(1, n, width) -> (1, n, vocabulary)"""
        graph = self._graph
        coarse = multiply(graph, text, f"{_NAME}/coarse", self._matrix, _COARSE_BITS)
        _, highest = graph.ops(
            "TopK", 2, coarse, graph.constant([min(_REFINED, self._shape.vocabulary)]), axis=-1, sorted=0
        )
        column = graph.op("Unsqueeze", text, graph.constant([3]))  # (1, n, width, 1)
        products = graph.op("MatMul", self.look_up(highest), column)
        exact = graph.op("Squeeze", products, graph.constant([3]))
        return graph.op("ScatterElements", coarse, highest, exact, axis=-1)
