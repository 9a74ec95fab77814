"""Sums of squared activations, collected while a model reads a text."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from edge_runtime.backends.llama.activations import MatrixInput
from edge_runtime.errors import BackendFailed
from edge_runtime.gguf.tensor_names import split_name
from edge_runtime.gguf.types import TensorInfo

from .matrix import ColumnUse


def counted_weights(tensors: Iterable[TensorInfo]) -> dict[str, TensorInfo]:
    """The matrices of the layers. llama.cpp's tool leaves out the embedding and the output matrix as well."""
    return {
        tensor.name: tensor
        for tensor in tensors
        if split_name(tensor.name) and tensor.name.endswith(".weight") and len(tensor.shape) >= 2
    }


class Collector:
    """Takes what enters each of the weights; holds two numbers of 64 bits for each column at most."""

    def __init__(self, weights: dict[str, TensorInfo]) -> None:
        self._weights = weights
        self._uses: dict[str, ColumnUse] = {}

    def take(self, found: MatrixInput) -> None:
        """Raises BackendFailed for an input that does not fit the weight."""
        use = self._uses.get(found.weight)
        if use is None:
            use = self._uses[found.weight] = self._new_use(found)
        # In 32 bits for a step's few hundred rows, in 64 over all of them.
        use.squares[found.matrix] += np.einsum("rc,rc->c", found.rows, found.rows)
        use.counts[found.matrix] += len(found.rows)

    def _new_use(self, found: MatrixInput) -> ColumnUse:
        shape, columns = self._weights[found.weight].shape, found.rows.shape[1]
        if (columns, found.matrices) != (shape[0], prod(shape[2:])):
            raise BackendFailed(
                f"{found.weight}: {found.matrices} x {columns} columns enter a weight of shape {shape}",
                session_good=False,
            )
        return ColumnUse(np.zeros((found.matrices, columns)), np.zeros(found.matrices, np.int64))

    def uses(self) -> dict[str, ColumnUse]:
        """By name, in order. Raises BackendFailed when a model has computed something that is no number."""
        for name, use in self._uses.items():
            if not np.isfinite(use.squares).all():
                raise BackendFailed(
                    f"what enters {name} is infinite or no number",
                    hint="look for damage with `edge-runtime verify`, or start from a file of F16 or BF16",
                    session_good=False,
                )
        return dict(sorted(self._uses.items()))
