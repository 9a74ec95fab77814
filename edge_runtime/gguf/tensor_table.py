"""The tensor table of a GGUF file: what each weight is called, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from .cursor import Cursor
from .types import GGML_TYPES, GgmlType, TensorInfo

_MAX_NAME_BYTES = 63  # ggml's GGML_MAX_NAME, less the closing zero
_MAX_DIMENSIONS = 4  # ggml's


def read_tensors(
    cursor: Cursor, count: int, alignment_bytes: int, file_index: int
) -> tuple[tuple[TensorInfo, ...], int]:
    """The tensors in file order, and where the first weight stands in the file.

    Raises ModelFileInvalid unless every tensor lies inside the file, right behind
    the one before it; ModelUnsupported for a tensor type that ggml does not know.
    """
    entries = [_read_entry(cursor) for _ in range(count)]
    data_offset_bytes = _padded(cursor.position, alignment_bytes) if entries else cursor.position
    tensors: dict[str, TensorInfo] = {}
    expected_offset_bytes = 0
    for entry in entries:
        if entry.name in tensors:
            raise cursor.damaged("each tensor name once", repr(entry.name), at=entry.at)
        if entry.offset_bytes != expected_offset_bytes:  # llama.cpp allows no gap and no other order
            expected = f"{entry.name} at offset {expected_offset_bytes}"
            raise cursor.damaged(expected, entry.offset_bytes, at=entry.at)
        tensors[entry.name] = tensor = _placed(cursor, entry, data_offset_bytes, file_index)
        expected_offset_bytes = _padded(entry.offset_bytes + tensor.size_bytes, alignment_bytes)
    return tuple(tensors.values()), data_offset_bytes


@dataclass(frozen=True)
class _Entry:
    """One line of the table as it stands there."""

    at: int  # where the line begins
    name: str
    shape: tuple[int, ...]
    type: GgmlType
    offset_bytes: int  # from the first weight


def _read_entry(cursor: Cursor) -> _Entry:
    at = cursor.position
    name = cursor.name(_MAX_NAME_BYTES, "a tensor name")
    if not name or "\0" in name:  # llama.cpp would see the part before the zero
        raise cursor.damaged("a tensor name without zero bytes", repr(name), at=at)
    dimension_count = cursor.u32(f"the number of dimensions of {name}")
    if dimension_count > _MAX_DIMENSIONS:
        raise cursor.damaged(f"at most {_MAX_DIMENSIONS} dimensions for {name}", dimension_count, at=at)
    shape = tuple(cursor.u64(f"the shape of {name}") for _ in range(dimension_count))
    number = cursor.u32(f"the type of {name}")
    if number not in GGML_TYPES:
        raise cursor.unsupported(f"stores {name} as tensor type {number}, which is unknown", number)
    return _Entry(at, name, shape, GGML_TYPES[number], cursor.u64(f"the offset of {name}"))


def _placed(cursor: Cursor, entry: _Entry, data_offset_bytes: int, file_index: int) -> TensorInfo:
    size_bytes = _size_bytes(cursor, entry)
    offset_bytes = data_offset_bytes + entry.offset_bytes
    if offset_bytes + size_bytes > cursor.size_bytes:
        expected = f"{entry.name} to end by byte {cursor.size_bytes}, where the file ends"
        raise cursor.damaged(expected, offset_bytes + size_bytes, at=entry.at)
    return TensorInfo(entry.name, entry.shape, entry.type, offset_bytes, size_bytes, file_index)


def _size_bytes(cursor: Cursor, entry: _Entry) -> int:
    elements = prod(entry.shape)  # no dimensions: one element
    if not 0 < elements < 2**63:
        raise cursor.damaged(f"1 to 2^63 - 1 elements in {entry.name}", elements, at=entry.at)
    row_elements = entry.shape[0] if entry.shape else 1
    if row_elements % entry.type.block_elements:
        expected = f"rows of a multiple of {entry.type.block_elements} elements in {entry.name}"
        raise cursor.damaged(expected, row_elements, at=entry.at)
    return elements // entry.type.block_elements * entry.type.block_bytes


def _padded(size_bytes: int, alignment_bytes: int) -> int:
    return -(-size_bytes // alignment_bytes) * alignment_bytes
