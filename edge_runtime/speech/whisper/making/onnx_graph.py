"""An ONNX graph as it grows, with its large weights in a file beside it.

Weights outside the graph are mapped by onnxruntime, not copied, and written here one at a time: neither side
ever holds the whole model in memory a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

OPSET = 20  # Gelu came with it; onnxruntime reads it from 1.17 on
CONTRIB = "com.microsoft"  # onnxruntime's own operators
Sizes = Sequence[int | str]  # a text where the size is open
_IR_VERSION = 9
_ALIGNED_BYTES = 64  # what onnxruntime's kernels like to find
_OUTSIDE_FROM_BYTES = 16 << 10  # smaller ones are not worth a mapping


class Graph:
    """Nodes, weights, inputs and outputs. A name stands for one tensor."""

    def __init__(self, name: str, data: BinaryIO, data_name: str) -> None:
        self._name, self._data, self._data_name = name, data, data_name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], str] = {}

    def input(self, name: str, kind: int, shape: Sizes) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, tensor: str, shape: Sizes) -> None:
        """`tensor`, F32, is given out as `name`."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=f"{name}_out"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one result."""
        return self.ops(kind, 1, *inputs, domain=domain, **attributes)[0]

    def ops(self, kind: str, results: int, *inputs: str, domain: str = "", **attributes: Any) -> list[str]:
        name = f"{kind.lower()}_{len(self._nodes)}"
        names = [name] if results == 1 else [f"{name}_{number}" for number in range(results)]
        self._nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes))
        return names

    def constant(self, values: Any, dtype: Any = np.int64) -> str:
        """A few numbers; equal ones are kept once."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.tobytes(), array.shape)
        if key not in self._constants:
            self._constants[key] = self.weight(f"constant_{len(self._constants)}", array)
        return self._constants[key]

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """A weight, inside the graph or in the file beside it."""
        array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        tensor = TensorProto(name=name, dims=array.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        if array.nbytes < _OUTSIDE_FROM_BYTES:
            tensor.raw_data = array.tobytes()
        else:
            self._write_outside(tensor, array)
        self._weights.append(tensor)
        return name

    def _write_outside(self, tensor: TensorProto, array: NDArray[Any]) -> None:
        self._data.write(bytes(-self._data.tell() % _ALIGNED_BYTES))
        tensor.data_location = TensorProto.EXTERNAL
        where = {"location": self._data_name, "offset": self._data.tell(), "length": array.nbytes}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(array.data)

    def save(self, path: Path) -> None:
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._weights)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="edge-runtime"
        )
        path.write_bytes(model.SerializeToString(deterministic=True))
