"""One tensor of a synthetic model: its name, its shape, and what fills it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import prod


class TensorClass(Enum):
    """What one choice of quantization covers; NORM and SMALL stay F32, as converters leave them."""

    BODY = "body"  # the big matrices of the blocks: attention and feed-forward
    EMBEDDING = "embedding"  # token_embd, which is the output matrix too where there is no other
    OUTPUT = "output"  # a separate output matrix
    PLE = "ple"  # per-layer embeddings: one row of every layer's vector for each token
    OTHER = "other"  # a layer's matrices that put per-layer embeddings in
    UNTOUCHED = "untouched"  # what llama-quantize never quantizes: AltUp, LAuReL, PLE's projection
    NORM = "norm"  # near 1
    SMALL = "small"  # biases, coefficients and constants


@dataclass(frozen=True)
class Weight:
    name: str
    shape: tuple[int, ...]  # ggml's order: the row length comes first
    kind: TensorClass
    values: tuple[float, ...] = ()  # fixed ones, for F32 only; () means random

    @property
    def elements(self) -> int:
        return prod(self.shape)


def matrix(kind: TensorClass, name: str, *shape: int) -> Weight:
    return Weight(f"{name}.weight", shape, kind)


def body(name: str, columns: int, rows: int) -> Weight:
    return matrix(TensorClass.BODY, name, columns, rows)


def other(name: str, *shape: int) -> Weight:
    return matrix(TensorClass.OTHER, name, *shape)


def untouched(name: str, *shape: int) -> Weight:
    return matrix(TensorClass.UNTOUCHED, name, *shape)


def norm(name: str, width: int) -> Weight:
    return matrix(TensorClass.NORM, name, width)


def small(name: str, *shape: int) -> Weight:
    return matrix(TensorClass.SMALL, name, *shape)


def bias(name: str, width: int) -> Weight:
    return Weight(f"{name}.bias", (width,), TensorClass.SMALL)


def constant(name: str, *values: float) -> Weight:
    return Weight(f"{name}.weight", (len(values),), TensorClass.SMALL, values)
