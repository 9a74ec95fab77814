"""Reading weights piece by piece: no tensor is ever in memory as a whole.

The file is read, never mapped: one that shrinks under a mapping ends the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import IO

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.values.files import reading

# A multiple of every type's block, so that pieces of two types hold the same weights. Small enough for
# the processor's cache: with 4 times as many, taking weights apart takes 1.6 times as long here.
PIECE_ELEMENTS = 1 << 18


def element_count(tensor: TensorInfo) -> int:
    return prod(tensor.shape)


def read_pieces(header: GgufHeader, tensor: TensorInfo) -> Iterator[NDArray[np.uint8]]:
    """(bytes,) of PIECE_ELEMENTS weights each, in order; the last one may be shorter.

    A piece is overwritten by the next one. Raises ModelFileInvalid when the file cannot
    be read, or has become shorter.
    """
    piece_bytes = PIECE_ELEMENTS // tensor.type.block_elements * tensor.type.block_bytes
    return read_range(header, tensor, 0, tensor.size_bytes, piece_bytes)


def read_range(
    header: GgufHeader, tensor: TensorInfo, start_bytes: int, end_bytes: int, piece_bytes: int
) -> Iterator[NDArray[np.uint8]]:
    """As read_pieces, from one place in the tensor's data to another."""
    buffer = np.empty(min(piece_bytes, end_bytes - start_bytes), np.uint8)
    path = header.paths[tensor.file_index]
    with reading(path) as file:
        file.seek(tensor.offset_bytes + start_bytes)
        for done_bytes in range(start_bytes, end_bytes, piece_bytes):
            piece = buffer[: end_bytes - done_bytes]
            if not fill_from(file, piece.data):
                raise _cut_short(header, tensor)
            yield piece


def fill_from(file: IO[bytes], view: memoryview) -> bool:
    """Read until `view`, of bytes, is full. False when the file ends before."""
    while view:
        count = file.readinto(view)  # type: ignore[attr-defined]
        if not count:
            return False
        view = view[count:]
    return True


def _cut_short(header: GgufHeader, tensor: TensorInfo) -> ModelFileInvalid:
    path = header.paths[tensor.file_index]
    return ModelFileInvalid(
        f"{path.name} became shorter while it was read: {tensor.name} is cut off",
        hint="wait until it is copied or written, and try again",
        path=str(path),
        tensor=tensor.name,
        offset=tensor.offset_bytes,
    )
