"""Headers of models that exist only as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgmlType, TensorInfo
from edge_runtime.memory import PlanOptions

MIB = 2**20
MB = 1_000_000


def option(**values: Any) -> PlanOptions:
    return PlanOptions(**values)


def tensor(name: str, shape: tuple[int, ...], kind: GgmlType = GgmlType.F16) -> TensorInfo:
    return TensorInfo(name, shape, kind, 0, prod(shape) // kind.block_elements * kind.block_bytes, 0)


def header(
    architecture: str, block_count: int, *, tensors: Sequence[TensorInfo] | None = None, **values: object
) -> GgufHeader:
    """Width 1024, trained for 32,768 tokens; attention__head_count stands for attention.head_count."""
    metadata: dict[str, object] = {
        "general.architecture": architecture,
        f"{architecture}.block_count": block_count,
        f"{architecture}.context_length": 32768,
        f"{architecture}.embedding_length": 1024,
    }
    metadata |= {f"{architecture}.{key.replace('__', '.')}": value for key, value in values.items()}
    weights = tuple(tensors) if tensors is not None else (tensor("blk.0.ffn_up.weight", (1024, 4096)),)
    path = Path("some.gguf")
    size_bytes = sum(weight.size_bytes for weight in weights)
    return GgufHeader(path, (path,), 3, metadata, weights, 0, size_bytes)  # type: ignore[arg-type]


def body(layers: int, matrix_bytes: int, kind: GgmlType = GgmlType.Q8_0) -> list[TensorInfo]:
    """For each layer one matrix of about that many bytes."""
    rows = matrix_bytes // (1024 // kind.block_elements * kind.block_bytes)
    return [tensor(f"blk.{layer}.ffn_down.weight", (1024, rows), kind) for layer in range(layers)]
