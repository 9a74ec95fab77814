"""Small models to quantize, and looks at what became of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from edge_tools.quantize import QuantizeOptions
from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from edge_tools.tensor_data import read_pieces
from support.builders import RawTensor, tiny_llama_gguf

from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import GgmlType, GgufStringArray

PLE, EMBEDDING, DOWN = "per_layer_token_embd.weight", "token_embd.weight", "blk.3.ffn_down.weight"


def write_tiny(folder: Path) -> Path:
    """Rows of 32 and 64 weights: too short for blocks of 256."""
    path = folder / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


def write_e2b(path: Path, kind: str = "F16", tokens: int = 400) -> Path:
    """Gemma 3n's tensors, small, with one head: the K types take a second for 15 million weights."""
    one_head = {"attention.head_count": 1, "attention.head_count_kv": 1}
    shape = scaled(shape_named("gemma-3n-e2b"), 0.01).with_values(one_head, vocabulary_tokens=tokens)
    names = dict.fromkeys(("body", "embedding", "ple", "other"), kind)
    types = Quantizations.named(untouched="F16", **names)
    return write_model(path, shape, types, tokenizer=write_tiny(path.parent)).path


def wants(**values: Any) -> QuantizeOptions:
    return QuantizeOptions(**values)


def types_in(path: Path) -> dict[str, GgmlType]:
    return {tensor.name: tensor.type for tensor in read_header(path).tensors}


def data_of(header: GgufHeader, name: str) -> bytes:
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    return b"".join(piece.tobytes() for piece in read_pieces(header, tensor))


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def pieces_of_tiny() -> tuple[dict[str, Any], dict[str, Any]]:
    """The tiny llama's metadata and tensors, to be put together in another way."""
    header = read_header(write_tiny(Path(os.environ["HOME"])))
    metadata: dict[str, Any] = {}
    for key, value in header.metadata.items():
        is_list = isinstance(value, (np.ndarray, GgufStringArray))
        metadata[key] = list(value.tolist() if isinstance(value, np.ndarray) else value) if is_list else value
    tensors = {t.name: RawTensor(t.shape, t.type, data_of(header, t.name)) for t in header.tensors}
    return metadata, dict(tensors)


def as_dry_run(options: QuantizeOptions) -> QuantizeOptions:
    return QuantizeOptions(**{**vars(options), "dry_run": True})
