"""Comparison of two files tensor by tensor, a piece of each in memory at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_runtime.backends.llama.weight_codec import check_codec
from edge_runtime.catalog.catalog import locate
from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.values.progress import QUIET, Advance, Progress

from ..dequantize import dequantize
from ..tensor_data import read_pieces
from .difference import Difference, TensorChange
from .errors import ErrorSums
from .metadata import metadata_changes


def diff_models(a: str | Path, b: str | Path, progress: Progress = QUIET) -> Difference:
    """Names or GGUF files; A is the reference. Bytes are compared first, weights where those differ.

    Raises ModelNotFound, ModelFileInvalid, ModelUnsupported; EngineUnavailable when
    llama.cpp, whose functions turn weights into numbers, is not here.
    """
    check_codec()  # now, not after gigabytes
    first, second = read_header(locate(a).path), read_header(locate(b).path)
    changes, equal = _tensor_changes(first, second, progress)
    changes.sort(key=lambda change: change.badness, reverse=True)
    return Difference(first.path, second.path, metadata_changes(first, second), tuple(changes), equal)


def _tensor_changes(a: GgufHeader, b: GgufHeader, progress: Progress) -> tuple[list[TensorChange], int]:
    """(what differs, how many tensors do not)"""
    others = {tensor.name: tensor for tensor in b.tensors}
    changes, equal = [], 0
    with progress.bar("tensors", a.tensor_bytes, 0) as advance:
        for tensor in a.tensors:
            other = others.pop(tensor.name, None)
            change = _compare(a, tensor, b, other, advance)
            if change is None:
                equal += 1
            else:
                changes.append(change)
            if change is None or change.error is None:  # else it has advanced piece by piece
                advance(tensor.size_bytes)
    changes += [TensorChange(name, "added", "", _words(tensor)) for name, tensor in others.items()]
    return changes, equal


def _compare(
    a: GgufHeader, tensor: TensorInfo, b: GgufHeader, other: TensorInfo | None, advance: Advance
) -> TensorChange | None:
    """None when the two are the same."""
    if other is None:
        return TensorChange(tensor.name, "removed", _words(tensor), "")
    if other.shape != tensor.shape:
        return TensorChange(tensor.name, "shape", _words(tensor), _words(other))
    if other.type is tensor.type and _same_bytes(a, tensor, b, other):
        return None
    kind = "values" if other.type is tensor.type else "type"
    sums = ErrorSums()
    try:
        for mine, theirs in zip(read_pieces(a, tensor), read_pieces(b, other), strict=True):
            sums.add(dequantize(mine, tensor.type), dequantize(theirs, other.type))
            advance(len(mine))
    except ModelUnsupported as error:
        return TensorChange(tensor.name, kind, _words(tensor), _words(other), None, str(error))
    return TensorChange(tensor.name, kind, _words(tensor), _words(other), sums.result())


def _same_bytes(a: GgufHeader, tensor: TensorInfo, b: GgufHeader, other: TensorInfo) -> bool:
    pairs = zip(read_pieces(a, tensor), read_pieces(b, other), strict=True)
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs)


def _words(tensor: TensorInfo) -> str:
    return f"{tensor.type.name} of {' x '.join(map(str, tensor.shape))}"
