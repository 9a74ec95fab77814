"""The bytes of a new file's tensors, some thousand stored numbers at a time, whatever a tensor's size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import cycle
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...gguf_types import GgmlType
from .encode import Encoder, as_float32, quantized
from .encode_threads import MOST_AHEAD, EncodeThreads
from .safetensors_file import StoredTensor
from .stored_numbers import StoredNumbers, stored_dtype
from .target import Change, Target
from .weights import Filled

_CHUNK_ELEMENTS = 1 << 19  # a multiple of every type's block


def chunks(numbers: StoredNumbers, threads: EncodeThreads, filled: Filled) -> Iterator[memoryview]:
    """The tensor's bytes in the new file. Each piece is overwritten by the next.

    Raises ConversionError where a file cannot be read.
    """
    target, kind = filled.target, filled.kind
    if target.values:
        yield quantized(np.array(target.values, np.float32), kind)
    elif not filled.stored:
        yield from _zeros(target.elements, kind)
    for tensor in filled.stored:
        pieces = _pieces(numbers, tensor, target)
        yield from threads.encoded(pieces, kind, partial(_encode, target, tensor.dtype))
        if target.rows is not None and target.rows > target.shape[0]:
            yield from _zeros((target.rows - target.shape[0]) * prod(target.shape[1:]), kind)


def _encode(target: Target, dtype: str, encoder: Encoder, piece: NDArray[Any]) -> memoryview:
    if target.change is Change.ADD_ONE:
        return encoder.encode(_plus_one(piece, dtype), "F32")
    if target.factor != 1:
        return encoder.encode(as_float32(piece, dtype) * np.float32(target.factor), "F32")
    return encoder.encode(piece, dtype)


def _pieces(numbers: StoredNumbers, tensor: StoredTensor, target: Target) -> Iterator[NDArray[Any]]:
    """(numbers,) as stored, in the order that is written, whole blocks.

    Each stays as it is until MOST_AHEAD others were drawn.
    """
    if target.change is Change.INTERLEAVE:
        return _interleaved(numbers, tensor, target)
    if target.change is Change.TRANSPOSE:
        return _transposed(numbers, tensor, target)
    rows = target.shape[0] if target.rows is None else min(target.rows, target.shape[0])
    return _in_order(numbers, tensor, rows * prod(target.shape[1:]))


def _in_order(numbers: StoredNumbers, tensor: StoredTensor, count: int) -> Iterator[NDArray[Any]]:
    some = min(MOST_AHEAD + 1, -(-count // _CHUNK_ELEMENTS))
    buffers = cycle(np.empty((some, min(count, _CHUNK_ELEMENTS)), stored_dtype(tensor)))
    for start in range(0, count, _CHUNK_ELEMENTS):
        piece = next(buffers)[: count - start]
        numbers.read_into(piece, tensor, start)
        yield piece


def _interleaved(numbers: StoredNumbers, tensor: StoredTensor, target: Target) -> Iterator[NDArray[Any]]:
    """Each row of a head's first half is followed by that of its second."""
    width = prod(target.shape[1:])
    half = target.shape[0] // target.heads // 2
    step = min(half, max(1, _CHUNK_ELEMENTS // (2 * width)))
    halves = np.empty((2, step, width), stored_dtype(tensor))
    for head in range(target.heads):
        for row in range(0, half, step):
            count = min(step, half - row)
            for side in range(2):
                start = ((2 * head + side) * half + row) * width
                numbers.read_into(halves[side, :count], tensor, start)
            yield halves[:, :count].swapaxes(0, 1).flatten()


def _transposed(numbers: StoredNumbers, tensor: StoredTensor, target: Target) -> Iterator[NDArray[Any]]:
    """Column by column of a matrix with few rows."""
    rows, columns = target.shape
    step = min(columns, max(1, _CHUNK_ELEMENTS // rows))
    part = np.empty((rows, step), stored_dtype(tensor))
    for column in range(0, columns, step):
        count = min(step, columns - column)
        for row in range(rows):
            numbers.read_into(part[row, :count], tensor, row * columns + column)
        yield part[:, :count].T.flatten()


def _plus_one(piece: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    # llama.cpp's converter adds in half precision, and so do we
    sums = piece + np.float16(1) if dtype == "F16" else as_float32(piece, dtype) + np.float32(1)
    return as_float32(sums, "F32")


def _zeros(elements: int, kind: GgmlType) -> Iterator[memoryview]:
    """Whole rows of zeros."""
    while elements > 0:
        count = min(elements, _CHUNK_ELEMENTS)
        yield quantized(np.zeros(count, np.float32), kind)
        elements -= count
