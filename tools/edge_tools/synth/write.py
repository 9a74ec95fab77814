"""Writing a GGUF file with a real model's shape and random weights."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.types import GgmlType
from edge_runtime.gguf.writing import HeaderValue, NewTensor, write_gguf
from edge_runtime.values.checks import whole_number
from edge_runtime.values.files import expanded
from edge_runtime.values.output_file import check_output
from edge_runtime.values.progress import QUIET, Progress

from .blocks import RandomBlocks, type_for_rows
from .families import FAMILIES
from .families.shape import Shape
from .families.weight import TensorClass, Weight
from .quantizations import Quantizations
from .vocabulary import tokenizer_metadata


@dataclass(frozen=True)
class ClassSize:
    """What one class of tensors takes in one type; a class has two where rows are too short for its own."""

    kind: TensorClass
    type: GgmlType
    tensors: int
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        return {
            "class": self.kind.value,
            "type": self.type.name,
            "tensors": self.tensors,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Written:
    path: Path
    shape: Shape
    seed: int
    size_bytes: int  # of the whole file
    parameters: int
    classes: tuple[ClassSize, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "shape": self.shape.name,
            "architecture": self.shape.architecture,
            "seed": self.seed,
            "size_bytes": self.size_bytes,
            "parameters": self.parameters,
            "classes": [row.as_json() for row in self.classes],
        }


_LARGEST_SEED = 2**31 - 1


def write_model(
    path: str | os.PathLike[str],
    shape: Shape,
    quantizations: Quantizations | None = None,
    *,
    seed: int = 0,
    tokenizer: str | Path | None = None,
    force: bool = False,
    progress: Progress = QUIET,
) -> Written:
    """Write `shape` with random weights; the same arguments give the same bytes.

    `tokenizer` is the model to copy one from, by default gemma-3-270m, which must be on
    this device. The file appears under its name when it is whole, or not at all.

    Raises OptionInvalid (the file exists and `force` is False; a shape llama.cpp would
    refuse), ModelUnsupported (an architecture that is not known here), ModelNotFound (no
    tokenizer), StorageFull.
    """
    path = expanded(path)
    check_output(path, force)
    seed = whole_number("seed", seed, 0, _LARGEST_SEED)
    quantizations = quantizations or Quantizations()
    weights = weights_of(shape)
    blocks = RandomBlocks(seed)
    tensors = [_tensor(weight, quantizations, blocks) for weight in weights]
    metadata = _metadata(shape, quantizations, seed) | tokenizer_metadata(shape.vocabulary_tokens, tokenizer)
    smaller = "a smaller model with scale="
    size_bytes = write_gguf(path, metadata, tensors, force=force, smaller=smaller, progress=progress)
    parameters = sum(weight.elements for weight in weights)
    return Written(path, shape, seed, size_bytes, parameters, _classes(weights, tensors))


def weights_of(shape: Shape) -> tuple[Weight, ...]:
    """Every tensor a model of this shape has. Raises ModelUnsupported or OptionInvalid."""
    family = FAMILIES.get(shape.architecture)
    if family is None:
        raise ModelUnsupported(
            f"shape {shape.name}: no family of tensors is known for architecture {shape.architecture!r}",
            hint=f"known: {', '.join(sorted(FAMILIES))}",
            architecture=shape.architecture,
        )
    family.check(shape)
    return tuple(family.weights(shape))


def _metadata(shape: Shape, quantizations: Quantizations, seed: int) -> dict[str, HeaderValue]:
    return {
        "general.architecture": shape.architecture,
        "general.type": "model",
        # Not the shape's: for a name with "phi-3" llama.cpp looks for Phi's own tokens, and fails.
        "general.name": f"random weights, {shape.layers} layers of {shape.width}",
        "general.description": f"Made for measurements in the shape of {shape.name}, with seed {seed}.",
        "general.file_type": quantizations.file_type,
        "general.quantization_version": 2,
        **shape.metadata(),
    }


def _tensor(weight: Weight, quantizations: Quantizations, blocks: RandomBlocks) -> NewTensor:
    kind = type_for_rows(quantizations.of(weight.kind), weight.shape[0])
    return NewTensor(weight.name, weight.shape, kind, partial(_data, weight, kind, blocks))


def _data(weight: Weight, kind: GgmlType, blocks: RandomBlocks) -> Iterator[bytes | memoryview]:
    if weight.values:
        yield np.array(weight.values, "<f4").tobytes()
    elif weight.kind is TensorClass.NORM:
        yield blocks.near_one(weight.elements).tobytes()
    else:
        yield from blocks.stream(kind, weight.elements // kind.block_elements * kind.block_bytes)


def _classes(weights: Sequence[Weight], written: Sequence[NewTensor]) -> tuple[ClassSize, ...]:
    tensors: Counter[tuple[TensorClass, GgmlType]] = Counter()
    size_bytes: Counter[tuple[TensorClass, GgmlType]] = Counter()
    for weight, tensor in zip(weights, written, strict=True):
        key = weight.kind, tensor.type
        tensors[key] += 1
        size_bytes[key] += tensor.size_bytes
    order = list(TensorClass)
    keys = sorted(tensors, key=lambda key: (order.index(key[0]), -size_bytes[key]))
    return tuple(ClassSize(*key, tensors[key], size_bytes[key]) for key in keys)
