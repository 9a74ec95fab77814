"""The parts that encoder and decoder share: layers of a transformer, as nodes of a graph."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..ctranslate2_file import Ctranslate2File
from ..shape import WhisperShape
from .onnx_graph import Graph

_EPSILON = 1e-5  # of Whisper's layer norms


Rows = TypeVar("Rows")  # what a matrix is multiplied with


class Products(Protocol[Rows]):
    """How a network multiplies with its matrices."""

    def rows(self, graph: Graph, tensor: str) -> Rows:
        """(1, n, channels), ready for several matrices."""

    def linear(
        self, graph: Graph, rows: Rows, name: str, matrix: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> str:
        """(1, n, channels out); `matrix`: (out, in)."""


class Network(Generic[Rows]):
    """Adds the parts of a model to a graph, under the names they have in the file."""

    def __init__(
        self, graph: Graph, file: Ctranslate2File, shape: WhisperShape, products: Products[Rows]
    ) -> None:
        self.graph, self.file, self.shape = graph, file, shape
        self._products = products

    def vector(self, name: str, size: int) -> str:
        return self.graph.weight(name, self.file.floats(name, (size,)))

    def norm(self, tensor: str, name: str) -> str:
        """Layer norm over the channels; `name` is the layer norm's."""
        width = self.shape.width
        gamma, beta = self.vector(f"{name}/gamma", width), self.vector(f"{name}/beta", width)
        return self.graph.op("LayerNormalization", tensor, gamma, beta, axis=-1, epsilon=_EPSILON)

    def rows(self, tensor: str) -> Rows:
        return self._products.rows(self.graph, tensor)

    def linear(self, rows: Rows, name: str, outputs: int, inputs: int, part: slice | None = None) -> str:
        """`name`: the layer's, with weight and bias; `part`: of its outputs."""
        matrix: NDArray[np.float32] = self.file.floats(f"{name}/weight", (outputs, inputs))
        bias = self.file.floats(f"{name}/bias", (outputs,))
        if part is not None:
            name, matrix, bias = f"{name}/from_{part.start}", matrix[part], bias[part]
        return self._products.linear(self.graph, rows, name, matrix, bias)

    def feed_forward(self, tensor: str, layer: str) -> str:
        """With its own norm and the way around it."""
        width, inner = self.shape.width, self.shape.inner_width
        rows = self.rows(self.norm(tensor, f"{layer}/ffn/layer_norm"))
        hidden = self.graph.op("Gelu", self.linear(rows, f"{layer}/ffn/linear_0", inner, width))
        return self.graph.op(
            "Add", tensor, self.linear(self.rows(hidden), f"{layer}/ffn/linear_1", width, inner)
        )

    def split_heads(self, tensor: str) -> str:
        """(1, n, width) -> (1, heads, n, head size)."""
        parts = self.graph.constant([1, -1, self.shape.heads, self.shape.head_size])
        return self.graph.op("Transpose", self.graph.op("Reshape", tensor, parts), perm=[0, 2, 1, 3])

    def split_heads_turned(self, tensor: str) -> str:
        """(1, n, width) -> (1, heads, head size, n), as keys are multiplied with."""
        parts = self.graph.constant([1, -1, self.shape.heads, self.shape.head_size])
        return self.graph.op("Transpose", self.graph.op("Reshape", tensor, parts), perm=[0, 2, 3, 1])

    def join_heads(self, tensor: str) -> str:
        """(1, heads, n, head size) -> (1, n, width)."""
        turned = self.graph.op("Transpose", tensor, perm=[0, 2, 1, 3])
        return self.graph.op("Reshape", turned, self.graph.constant([1, -1, self.shape.width]))

    def scaled(self, query: str) -> str:
        return self.graph.op("Mul", query, self.graph.constant(self.shape.head_size**-0.5, np.float32))
