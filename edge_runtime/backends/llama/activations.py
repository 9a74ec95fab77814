"""The activations that enter a model's weight matrices while llama.cpp computes.

llama.cpp asks of every node of a graph whether its value is wanted, computes up to
there, and shows it. Nodes that multiply with a weight are wanted; their other operand
is what enters the weight.

Source: ggml_backend_sched_eval_callback in llama.cpp ggml/include/ggml-backend.h, and
which products count: tools/imatrix/imatrix.cpp, collect_imatrix, at 0c1e57098.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendFailed
from ..backend import Float32Array
from .ggml_tensor import F32, I32, GgmlTensor, ggml_function, product_ops
from .library import native

FEWEST_ROWS = 16  # with fewer, llama.cpp's tool takes a product for something other than a text's
_LAST_NODE = b"result_norm"  # behind it there is only the output matrix


@dataclass(frozen=True)
class MatrixInput:
    """What enters one matrix of one weight; `rows` is gone when the call returns."""

    weight: str
    matrix: int  # which of the weight's: an expert, or 0
    matrices: int  # how many the weight has
    rows: Float32Array  # (rows, columns)


class MatrixInputs:
    """Hands each MatrixInput of the wanted weights to `take`.

    `callback` goes into a context's cb_eval and lives as long as that. Behind the last
    layer the computation ends: logits are undefined, and what they cost is saved, more than
    half of the work for Gemma 3 270M. Nothing may leave a callback, so what `take` raises
    waits for raise_failure().
    """

    def __init__(self, wanted: frozenset[str], take: Callable[[MatrixInput], None]) -> None:
        """Raises EngineUnavailable when this build's tensors cannot be read."""
        self._wanted = {name.encode() for name in wanted}
        self._take = take
        self._ops = product_ops()
        self._is_host = ggml_function("ggml_backend_buffer_is_host", ctypes.c_bool, ctypes.c_void_p)
        self._failure: BaseException | None = None
        self.callback: Any = native().ggml_backend_sched_eval_callback(self._on_node)

    def raise_failure(self) -> None:
        """Call it after each decode."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _on_node(self, address: int, asks: bool, _user: object) -> bool:
        """Asked: whether the node is wanted. Shown: whether to go on."""
        try:
            node = GgmlTensor.from_address(address)
            if asks:
                return self._failure is None and (self._wants(node) or node.name == _LAST_NODE)
            if self._failure is not None or node.name == _LAST_NODE:
                return False
            for found in self._inputs(node):
                self._take(found)
        except BaseException as failure:  # Ctrl-C too: ctypes would print it and go on  # noqa: BLE001
            self._failure = failure
            return False
        return True

    def _wants(self, node: GgmlTensor) -> bool:
        if node.op not in (self._ops.plain, self._ops.experts):
            return False
        weight, other = (GgmlTensor.from_address(source) for source in node.sources[:2])
        if weight.name not in self._wanted or other.type != F32:
            return False
        return bool(node.op == self._ops.experts or other.sizes[1] >= FEWEST_ROWS)

    def _inputs(self, node: GgmlTensor) -> Iterator[MatrixInput]:
        weight, other = (GgmlTensor.from_address(source) for source in node.sources[:2])
        name, values = weight.name.decode(), self._view(other, np.float32)  # (n3, n2, rows, columns)
        if node.op == self._ops.experts:
            chosen = self._view(GgmlTensor.from_address(node.sources[2]), np.int32)[0, 0]  # (tokens, used)
            yield from _by_expert(name, int(weight.sizes[2]), values[0], chosen)
        else:
            yield from _by_matrix(name, (int(weight.sizes[3]), int(weight.sizes[2])), values)

    def _view(self, tensor: GgmlTensor, kind: type[np.generic]) -> NDArray[Any]:
        """The tensor's memory, the contiguous dimension last. Raises BackendFailed when it is not here."""
        sizes, strides = tuple(tensor.sizes)[::-1], tuple(tensor.strides_bytes)[::-1]
        is_plain = strides[-1] == 4 and tensor.type == {np.float32: F32, np.int32: I32}[kind]
        if not (is_plain and tensor.data and tensor.buffer and self._is_host(tensor.buffer)):
            raise BackendFailed(
                f"{tensor.name.decode(errors='replace')} enters a weight, and cannot be read: "
                "it is not in main memory, or laid out in another way",
                session_good=False,
            )
        span = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)) + 4
        memory = (ctypes.c_char * span).from_address(tensor.data)
        view: NDArray[Any] = np.ndarray(sizes, kind, memory, strides=strides)
        return view


def _by_matrix(name: str, shape: tuple[int, int], values: Float32Array) -> Iterator[MatrixInput]:
    """(n3, n2, rows, columns): ggml repeats a weight's matrices, each for neighbours, until they do."""
    repeat3, repeat2 = values.shape[0] // shape[0], values.shape[1] // shape[1]
    for at3, at2 in np.ndindex(values.shape[:2]):
        matrix = at3 // repeat3 * shape[1] + at2 // repeat2
        yield MatrixInput(name, matrix, shape[0] * shape[1], values[at3, at2])


def _by_expert(
    name: str, experts: int, values: Float32Array, chosen: NDArray[np.int32]
) -> Iterator[MatrixInput]:
    """(tokens, 1 or used, columns) and (tokens, used): each token's row goes to the experts it chose."""
    if chosen.size and not 0 <= int(chosen.min()) <= int(chosen.max()) < experts:
        raise BackendFailed(f"{name}: a token chose an expert that is not there", session_good=False)
    for expert in np.unique(chosen):
        token, place = np.nonzero(chosen == expert)
        yield MatrixInput(name, int(expert), experts, values[token, place % values.shape[1]])
