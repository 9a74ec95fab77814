"""A Gemma 3n file as slicing sees it, and the check against llama.cpp's constants.

Source: llama.cpp src/models/gemma3n.cpp, src/models/models.h and src/llama-hparams.h at
0c1e57098. Where the model's configuration has fields, the graph there has constants: 4
AltUp inputs, LAuReL of rank 64, 256 numbers of per-layer embedding, keys and values in the
first 20 layers, sparse activations in the first 10. The later layers read the keys and
values of layer 18 (those with a window) or 19 (the others).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.hyperparameters import MOST_WIDTH, invalid, number, number_or_none, per_layer
from edge_runtime.gguf.layer_patterns import GEMMA3N_OWNING_LAYERS, SHARED_LAYERS, sliding_layers
from edge_runtime.gguf.tensor_names import EMBEDDING_TENSOR, PLE_PROJECTION_TENSOR, PLE_TENSOR, layer_tensor
from edge_runtime.gguf.types import TensorInfo

PLE_WIDTH = 256  # numbers that a token has for each layer
_SPARSE_LAYERS = 10
_LAUREL_RANK = 64
_FIXED = {"altup.num_inputs": 4, "embedding_length_per_layer_input": PLE_WIDTH}


@dataclass(frozen=True)
class MatFormer:
    header: GgufHeader
    tensors: dict[str, TensorInfo]
    layers: int
    width: int  # numbers in a token's hidden state
    feed_forward: tuple[int, ...]  # (layers,) columns
    slides: tuple[bool, ...]  # (layers,) whose attention sees a window only

    @property
    def name(self) -> str:
        return self.header.path.name

    def shared_layers(self, layers: int) -> int:
        """Of so many layers those that read another's keys and values."""
        return max(0, layers - GEMMA3N_OWNING_LAYERS)


def read_matformer(header: GgufHeader) -> MatFormer:
    """Raises ModelUnsupported for another kind of model, or one that llama.cpp's graph does
    not fit, and ModelFileInvalid where the file contradicts itself."""
    if header.architecture != "gemma3n":
        raise ModelUnsupported(
            f"{header.path.name} is {header.architecture}, not a MatFormer model: a part of it would talk "
            "nonsense",
            hint="slice a Gemma 3n; `edge-runtime quantize` makes any model smaller",
            path=str(header.path),
            architecture=header.architecture,
        )
    source = _read(header)
    _check_constants(source)
    _check_tensors(source)
    return source


def _read(header: GgufHeader) -> MatFormer:
    layers, width = _count(header, "block_count"), _count(header, "embedding_length")
    widths = per_layer(header, "feed_forward_length", 0)
    if not all(0 < width <= MOST_WIDTH for width in widths):  # a row is read into memory as a whole
        expected = f"{layers} numbers from 1 to {MOST_WIDTH}"
        raise invalid(header, "feed_forward_length", expected, widths)
    slides = sliding_layers(header)
    if len(slides) != layers:
        found = number(header, "attention.sliding_window")
        raise invalid(header, "attention.sliding_window", "a number of tokens above 0", found)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    return MatFormer(header, tensors, layers, width, tuple(widths), tuple(slides))


def _count(header: GgufHeader, key: str) -> int:
    value = number(header, key)
    if not value:
        raise invalid(header, key, "a whole number above 0", number_or_none(header, key))
    return value


def _check_constants(source: MatFormer) -> None:
    for key, constant in _FIXED.items():
        found = source.header.hyperparameter(key)
        if found is not None and found != constant:
            raise _does_not_fit(source, f"{key} is {found}", str(constant))
    shared = number_or_none(source.header, SHARED_LAYERS)
    if shared is not None and shared != source.shared_layers(source.layers):
        problem = f"{shared} of {source.layers} layers share keys and values"
        raise _does_not_fit(source, problem, f"all but the first {GEMMA3N_OWNING_LAYERS}")
    sparsity: Any = source.header.hyperparameter("activation_sparsity_scale")
    if isinstance(sparsity, np.ndarray) and sparsity.dtype.kind == "f" and len(sparsity) == source.layers:
        sparse = [layer for layer in range(source.layers) if sparsity[layer] > 0]
        if sparse != list(range(min(_SPARSE_LAYERS, source.layers))):
            problem = f"{len(sparse)} layers have sparse activations"
            raise _does_not_fit(source, problem, f"exactly the first {_SPARSE_LAYERS}")


def _check_tensors(source: MatFormer) -> None:
    for name, shape in _expected_shapes(source):
        tensor = source.tensors.get(name)
        if tensor is None or tensor.shape != shape:
            raise source.header.invalid(name, f"shape {shape}", tensor.shape if tensor else "no such tensor")


def _expected_shapes(source: MatFormer) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Of what will be cut, and of LAuReL for its rank."""
    ple_width, width = PLE_WIDTH * source.layers, source.width
    embedding = source.tensors.get(EMBEDDING_TENSOR)
    yield PLE_TENSOR, (ple_width, *(embedding.shape[1:] if embedding else ()))
    yield PLE_PROJECTION_TENSOR, (width, ple_width)
    for layer, columns in enumerate(source.feed_forward):
        yield layer_tensor(layer, "ffn_gate.weight"), (width, columns)
        yield layer_tensor(layer, "ffn_up.weight"), (width, columns)
        yield layer_tensor(layer, "ffn_down.weight"), (columns, width)
        yield layer_tensor(layer, "laurel_l.weight"), (width, _LAUREL_RANK)


def _does_not_fit(source: MatFormer, problem: str, constant: str) -> ModelUnsupported:
    return ModelUnsupported(
        f"{source.name} cannot be sliced: {problem}, llama.cpp's Gemma 3n knows only {constant}",
        hint="llama.cpp cannot run this file as it is: convert the model again, or take another one",
        path=str(source.header.path),
    )
