"""The bytes of a new file's tensors, some thousand stored numbers at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType

from .encode import as_float32
from .encode_threads import Job
from .source.safetensors_file import StoredTensor
from .source.target import Change, Target
from .stored_numbers import stored_dtype
from .weights import Filled
from .workspace import Workspace

Gather = Callable[[Workspace], NDArray[Any]]
"""Reads (numbers,) as stored, in the order that is written, whole blocks."""

_CHUNK_ELEMENTS = 1 << 19  # a multiple of every type's block


def chunks(filled: Filled) -> Iterator[Job]:
    """Each makes a piece of the tensor's bytes in the new file, and can be done before those ahead of it.

    They raise ConversionError where a file cannot be read.
    """
    target, kind = filled.target, filled.kind
    if target.values:
        yield partial(_encode_values, np.array(target.values, np.float32), kind)
    elif not filled.stored:
        yield from _zeros(target.elements, kind)
    for tensor in filled.stored:
        for gather in _pieces(tensor, target):
            yield partial(_encode, target, tensor.dtype, kind, gather)
        if target.rows is not None and target.rows > target.shape[0]:
            yield from _zeros((target.rows - target.shape[0]) * prod(target.shape[1:]), kind)


def _encode(target: Target, dtype: str, kind: GgmlType, gather: Gather, workspace: Workspace) -> memoryview:
    piece, encoder = gather(workspace), workspace.encoder(kind)
    if target.change is Change.ADD_ONE:
        return encoder.encode(_plus_one(piece, dtype), "F32")
    if target.factor != 1:
        return encoder.encode(as_float32(piece, dtype) * np.float32(target.factor), "F32")
    return encoder.encode(piece, dtype)


def _encode_values(values: NDArray[np.float32], kind: GgmlType, workspace: Workspace) -> memoryview:
    return workspace.encoder(kind).encode(values, "F32")


def _pieces(tensor: StoredTensor, target: Target) -> Iterator[Gather]:
    if target.change is Change.INTERLEAVE:
        return _interleaved(tensor, target)
    if target.change is Change.TRANSPOSE:
        return _transposed(tensor, target)
    rows = target.shape[0] if target.rows is None else min(target.rows, target.shape[0])
    return _in_order(tensor, rows * prod(target.shape[1:]))


def _in_order(tensor: StoredTensor, count: int) -> Iterator[Gather]:
    for start in range(0, count, _CHUNK_ELEMENTS):
        yield partial(_read, tensor, start, min(count - start, _CHUNK_ELEMENTS))


def _read(tensor: StoredTensor, start: int, count: int, workspace: Workspace) -> NDArray[Any]:
    piece = workspace.array((count,), stored_dtype(tensor))
    workspace.numbers.read_into(piece, tensor, start)
    return piece


def _interleaved(tensor: StoredTensor, target: Target) -> Iterator[Gather]:
    """Each row of a head's first half is followed by that of its second."""
    width = prod(target.shape[1:])
    half = target.shape[0] // target.heads // 2
    step = min(half, max(1, _CHUNK_ELEMENTS // (2 * width)))
    for head in range(target.heads):
        for row in range(0, half, step):
            first = 2 * head * half + row
            yield partial(_read_halves, tensor, (first, first + half), min(step, half - row), width)


def _read_halves(
    tensor: StoredTensor, rows: tuple[int, int], count: int, width: int, workspace: Workspace
) -> NDArray[Any]:
    halves = workspace.array((2, count, width), stored_dtype(tensor))
    for half, row in zip(halves, rows, strict=True):
        workspace.numbers.read_into(half, tensor, row * width)
    rows_in_pairs: NDArray[Any] = halves.swapaxes(0, 1).flatten()
    return rows_in_pairs


def _transposed(tensor: StoredTensor, target: Target) -> Iterator[Gather]:
    """Column by column of a matrix with few rows."""
    rows, columns = target.shape
    step = min(columns, max(1, _CHUNK_ELEMENTS // rows))
    for column in range(0, columns, step):
        yield partial(_read_columns, tensor, column, min(step, columns - column))


def _read_columns(tensor: StoredTensor, column: int, count: int, workspace: Workspace) -> NDArray[Any]:
    rows, columns = tensor.shape
    part = workspace.array((rows, count), stored_dtype(tensor))
    for row in range(rows):
        workspace.numbers.read_into(part[row], tensor, row * columns + column)
    by_column: NDArray[Any] = part.T.flatten()
    return by_column


def _plus_one(piece: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    # llama.cpp's converter adds in half precision, and so do we
    sums = piece + np.float16(1) if dtype == "F16" else as_float32(piece, dtype) + np.float32(1)
    return as_float32(sums, "F32")


def _zeros(elements: int, kind: GgmlType) -> Iterator[Job]:
    """Whole rows of zeros."""
    for start in range(0, elements, _CHUNK_ELEMENTS):
        yield partial(_encode_zeros, min(elements - start, _CHUNK_ELEMENTS), kind)


def _encode_zeros(count: int, kind: GgmlType, workspace: Workspace) -> memoryview:
    return workspace.encoder(kind).encode(np.zeros(count, np.float32), "F32")
