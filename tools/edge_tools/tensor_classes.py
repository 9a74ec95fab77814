"""Classes of tensors, by which sizes are added up and types are chosen."""

from __future__ import annotations

from enum import Enum

from edge_runtime.gguf.tensor_names import split_name
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.memory.weights import WeightClass, class_of


class TensorClass(Enum):
    BODY = "body"  # the matrices of the layers: attention, feed-forward, experts
    EMBEDDING = "embedding"  # looked up by token; the output matrix too where there is no other
    PLE = "ple"  # per-layer embeddings: one row of every layer's vector for each token
    OUTPUT = "output"  # a separate output matrix
    OTHER = "other"  # what puts per-layer embeddings in, AltUp, LAuReL, and what no layer owns
    NORMS = "norms"  # norms, biases and all other vectors: always small


_SPECIAL = {
    WeightClass.EMBEDDING: TensorClass.EMBEDDING,
    WeightClass.PLE: TensorClass.PLE,
    WeightClass.OUTPUT: TensorClass.OUTPUT,
}
# Gemma 3n and 4. Source: llama.cpp src/llama-arch.cpp, LLM_TENSOR_NAMES.
_BESIDE_THE_BODY = ("inp_gate", "proj", "altup_", "laurel_", "per_layer_", "layer_output_scale")


def tensor_class(tensor: TensorInfo) -> TensorClass:
    if len(tensor.shape) < 2 or tensor.name.endswith(("norm.weight", ".bias")):
        return TensorClass.NORMS
    known = _SPECIAL.get(class_of(tensor))
    if known is not None:
        return known
    of_layer = split_name(tensor.name)
    is_body = of_layer is not None and not of_layer[1].startswith(_BESIDE_THE_BODY)
    return TensorClass.BODY if is_body else TensorClass.OTHER
