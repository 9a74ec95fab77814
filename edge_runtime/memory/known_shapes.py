"""The shapes of the catalog's models, to plan one before its file is here.

A manifest knows the size of a file and nothing of its inside. These numbers stand in
for the header; every tensor gets its share of the file's size, so a plan is a good
estimate and no more.

Source: the models' published configurations (config.json).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from ..catalog.manifest import Manifest, ModelFile
from ..gguf.header import GgufHeader, MetadataValue
from ..gguf.layer_patterns import SHARED_LAYERS, WINDOW_PATTERN
from ..gguf.tensor_names import EMBEDDING_TENSOR, PLE_TENSOR, layer_tensor
from ..gguf.types import GgmlType, TensorInfo


@dataclass(frozen=True)
class KnownShape:
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    window: int = 0
    global_every: int = 0  # every so many layers one sees everything
    ple: int = 0  # numbers a token and layer
    sharing_layers: int = 0  # at the end: they read another layer's cache
    window_head: int = 0  # a head's width where a layer slides, when it differs
    wide_ffn_from: int | None = None  # layers from here on have twice the FFN


_SHAPES = {
    "smollm2-135m-instruct": KnownShape(30, 576, 1536, 9, 3, 64, 49_152),
    "gemma-3-270m": KnownShape(18, 640, 2048, 4, 1, 256, 262_144, 512, 6),
    "gemma-3-1b-it": KnownShape(26, 1152, 6912, 4, 1, 256, 262_144, 512, 6),
    "gemma-3-4b-it": KnownShape(34, 2560, 10_240, 8, 4, 256, 262_208, 1024, 6),
    "gemma-3n-e2b-it": KnownShape(30, 2048, 8192, 8, 2, 256, 262_400, 512, 5, 256),
    "gemma-3n-e4b-it": KnownShape(35, 2048, 16_384, 8, 2, 256, 262_400, 512, 5, 256),
    "gemma-4-e2b-it": KnownShape(35, 1536, 6144, 8, 1, 512, 262_144, 512, 5, 256, 20, 256, 15),
    "gemma-4-e4b-it": KnownShape(42, 2560, 10_240, 8, 2, 512, 262_144, 512, 6, 256, 18, 256),
}
# The type that most of a file's matrices have, by how the quantization's name begins.
_TYPES = (
    *(("Q4_K", GgmlType.Q4_K), ("Q4_1", GgmlType.Q4_1), ("Q4", GgmlType.Q4_0), ("Q5_K", GgmlType.Q5_K)),
    *(("Q6", GgmlType.Q6_K), ("Q8", GgmlType.Q8_0), ("Q2", GgmlType.Q2_K), ("IQ4_NL", GgmlType.IQ4_NL)),
)


def stand_in_header(manifest: Manifest, file: ModelFile) -> GgufHeader | None:
    """A header as the file will probably have it; None for a model or a size that nobody wrote down."""
    shape = _SHAPES.get(manifest.name)
    if shape is None or not file.size_bytes:
        return None
    kind = next((t for start, t in _TYPES if file.quantization.upper().startswith(start)), GgmlType.F16)
    path = Path(file.file_name)
    tensors = _tensors(shape, kind, file.size_bytes)
    metadata = _metadata(shape, manifest)
    return GgufHeader(path, (path,), 3, metadata, tensors, 0, file.size_bytes)


def _metadata(shape: KnownShape, manifest: Manifest) -> dict[str, MetadataValue]:
    values: dict[str, MetadataValue] = {
        "block_count": shape.layers,
        "context_length": manifest.context_tokens,
        "embedding_length": shape.hidden,
        "feed_forward_length": np.array([_ffn(shape, layer) for layer in range(shape.layers)]),
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head,
        "attention.value_length": shape.head,
    }
    if shape.window:
        slides = [layer % shape.global_every != shape.global_every - 1 for layer in range(shape.layers)]
        values["attention.sliding_window"] = shape.window
        values[WINDOW_PATTERN] = np.array(slides)
    if shape.window_head:
        values["attention.key_length_swa"] = values["attention.value_length_swa"] = shape.window_head
    values[SHARED_LAYERS] = shape.sharing_layers
    named = {f"{manifest.architecture}.{key}": value for key, value in values.items()}
    return {"general.architecture": manifest.architecture, **named}


def _ffn(shape: KnownShape, layer: int) -> int:
    return shape.ffn * (2 if shape.wide_ffn_from is not None and layer >= shape.wide_ffn_from else 1)


def _tensors(shape: KnownShape, kind: GgmlType, size_bytes: int) -> tuple[TensorInfo, ...]:
    """All large matrices, each with its share of the file."""
    sizes = {EMBEDDING_TENSOR: (shape.hidden, shape.vocabulary)}
    if shape.ple:
        sizes[PLE_TENSOR] = (shape.ple * shape.layers, shape.vocabulary)
    for layer in range(shape.layers):
        query, kv, ffn = shape.heads * shape.head, shape.kv_heads * shape.head, _ffn(shape, layer)
        matrices = {
            "attn_q": (shape.hidden, query),
            "attn_k": (shape.hidden, kv),
            "attn_v": (shape.hidden, kv),
            "attn_output": (query, shape.hidden),
            "ffn_gate": (shape.hidden, ffn),
            "ffn_up": (shape.hidden, ffn),
            "ffn_down": (ffn, shape.hidden),
        }
        sizes.update({layer_tensor(layer, f"{name}.weight"): size for name, size in matrices.items()})
    total = sum(prod(size) for size in sizes.values())
    return tuple(
        TensorInfo(name, size, kind, 0, prod(size) * size_bytes // total, 0) for name, size in sizes.items()
    )
