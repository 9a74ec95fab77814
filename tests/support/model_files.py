"""Sound model files of a few megabytes, to be looked into and damaged."""

from __future__ import annotations

from pathlib import Path

from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from support.builders import tiny_llama_gguf

from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType, TensorInfo


def quantized(path: Path, kind: GgmlType = GgmlType.Q4_0, shape: str = "smollm2-135m") -> Path:
    """A sound model of a few megabytes, its matrices of one type."""
    tokenizer = path.with_name("tokenizer.gguf")
    tokenizer.write_bytes(tiny_llama_gguf())
    small = scaled(shape_named(shape), 0.01).with_values({}, vocabulary_tokens=400)
    return write_model(path, small, Quantizations(*[kind] * 5), tokenizer=tokenizer).path


def tensor(path: Path, name: str) -> TensorInfo:
    return next(tensor for tensor in read_header(path).tensors if tensor.name == name)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def copied(path: Path) -> Path:
    """The same file again."""
    other = path.with_name("copy.gguf")
    other.write_bytes(path.read_bytes())
    return other
