"""One tensor to be written: the stored tensors that fill it, and the transformation of their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import prod

from edge_runtime.gguf.types import GgmlType


class Change(Enum):
    NONE = "none"
    ADD_ONE = "add one"  # Gemma's norms count from 1 in a checkpoint, and from 0 in GGUF
    INTERLEAVE = "interleave"  # the halves of each head become pairs, as ggml's rotation wants them
    TRANSPOSE = "transpose"


@dataclass(frozen=True)
class Target:
    """`shape` is the stored one's, the row length last. Several sources are put one after the other."""

    name: str  # GGUF's
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()  # names in the checkpoint; () where `values` fill it
    change: Change = Change.NONE
    heads: int = 1  # for INTERLEAVE
    optional: bool = False  # left out where the checkpoint has no such tensor
    zeros_if_missing: bool = False
    rows: int | None = None  # to be written, where it is not shape[0]: cut, or zeros added
    values: tuple[float, ...] = ()
    factor: float = 1.0  # what every number is multiplied by

    @property
    def written_shape(self) -> tuple[int, ...]:
        """Of what is in the file: several sources make a first dimension of their own."""
        shape = self.shape if self.rows is None else (self.rows, *self.shape[1:])
        if self.change is Change.TRANSPOSE:
            shape = shape[::-1]
        return (len(self.sources), *shape) if len(self.sources) > 1 else shape

    @property
    def elements(self) -> int:
        return prod(self.written_shape)

    def type_for(self, wanted: GgmlType) -> GgmlType:
        """What llama.cpp's converter takes: small tensors stay F32, short rows become F16.

        Source: conversion/base.py, prepare_tensors.
        """
        kept = ("_norm.weight", "altup_correct_coef.weight", "altup_predict_coef.weight")
        if len(self.written_shape) == 1 or self.name.endswith(kept) or not self.name.endswith(".weight"):
            return GgmlType.F32
        return GgmlType.F16 if self.shape[-1] % wanted.block_elements else wanted


def copied(source: str, name: str, *shape: int) -> Target:
    return Target(name, shape, (source,))


def constant(name: str, values: Sequence[float]) -> Target:
    return Target(name, (len(values),), values=tuple(values))


def in_layer(layer: int, targets: Iterator[Target] | Sequence[Target]) -> Iterator[Target]:
    """The same with the names of a layer: model.layers.3.x -> blk.3.y"""
    for target in targets:
        sources = tuple(f"model.layers.{layer}.{source}" for source in target.sources)
        yield replace(target, name=f"blk.{layer}.{target.name}", sources=sources)
