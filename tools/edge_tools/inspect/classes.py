"""Sizes of weights, added up by class and type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from edge_runtime.gguf.types import GgmlType, TensorInfo

from ..tensor_classes import TensorClass, tensor_class
from ..tensor_data import element_count


@dataclass(frozen=True)
class TypeSize:
    """The tensors of one class that are stored in one type."""

    type: GgmlType
    tensors: int
    elements: int
    size_bytes: int

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.size_bytes / self.elements

    def as_json(self) -> dict[str, object]:
        return {
            "type": self.type.name,
            "tensors": self.tensors,
            "elements": self.elements,
            "size_bytes": self.size_bytes,
            "bits_per_weight": round(self.bits_per_weight, 4),
        }


@dataclass(frozen=True)
class ClassSize:
    kind: TensorClass
    types: tuple[TypeSize, ...]  # the one with the most bytes first

    @property
    def tensors(self) -> int:
        return sum(size.tensors for size in self.types)

    @property
    def elements(self) -> int:
        return sum(size.elements for size in self.types)

    @property
    def size_bytes(self) -> int:
        return sum(size.size_bytes for size in self.types)

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.size_bytes / self.elements

    def as_json(self) -> dict[str, object]:
        return {
            "class": self.kind.value,
            "tensors": self.tensors,
            "elements": self.elements,
            "size_bytes": self.size_bytes,
            "bits_per_weight": round(self.bits_per_weight, 4),
            "types": [size.as_json() for size in self.types],
        }


def class_sizes(tensors: Iterable[TensorInfo]) -> tuple[ClassSize, ...]:
    """The classes that are there, in the order of TensorClass."""
    counts: Counter[tuple[TensorClass, GgmlType]] = Counter()
    elements: Counter[tuple[TensorClass, GgmlType]] = Counter()
    size_bytes: Counter[tuple[TensorClass, GgmlType]] = Counter()
    for tensor in tensors:
        key = tensor_class(tensor), tensor.type
        counts[key] += 1
        elements[key] += element_count(tensor)
        size_bytes[key] += tensor.size_bytes
    classes = []
    for kind in TensorClass:
        keys = sorted((key for key in counts if key[0] is kind), key=lambda key: -size_bytes[key])
        types = tuple(TypeSize(key[1], counts[key], elements[key], size_bytes[key]) for key in keys)
        if types:
            classes.append(ClassSize(kind, types))
    return tuple(classes)
