"""The header of a safetensors file, read without its weights.

Format: https://huggingface.co/docs/safetensors: 8 bytes with the length of a JSON header, the header,
the weights. Offsets count from the end of the header.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from .json_file import parse_object
from .source_error import bad_tensor, damaged

_MOST_HEADER_BYTES = 100_000_000  # the format's own limit
_MOST_DIMENSIONS = 8
ELEMENT_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "BF16": 2,
    "F16": 2,
    "I16": 2,
    "U16": 2,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "C64": 8,
}


@dataclass(frozen=True)
class StoredTensor:
    name: str
    path: Path
    dtype: str  # safetensors' name of it, a key of ELEMENT_BYTES
    shape: tuple[int, ...]  # the dimension that is contiguous in memory comes last
    offset_bytes: int  # from the start of the file
    size_bytes: int


def read_tensors(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of a file by its name, in the order of the names.

    Checked: every tensor lies inside the file, has the bytes its shape needs, and shares none.
    Raises ConversionError.
    """
    try:
        with path.open("rb") as handle:
            size_bytes = handle.seek(0, 2)
            header, data_start = _read_header(path, handle, size_bytes)
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}", hint="check its owner and mode") from error
    header.pop("__metadata__", None)
    tensors = [_tensor(path, name, header[name], data_start, size_bytes) for name in sorted(header)]
    _check_no_overlap(tensors)
    return {tensor.name: tensor for tensor in tensors}


def _read_header(path: Path, handle: BinaryIO, size_bytes: int) -> tuple[dict[str, Any], int]:
    handle.seek(0)
    length = int.from_bytes(handle.read(8), "little")
    if size_bytes < 8:
        raise damaged(path, f"has {size_bytes} bytes, and is no safetensors file")
    if length > min(_MOST_HEADER_BYTES, size_bytes - 8):
        raise damaged(path, f"should begin with a header of {length:,} bytes, but has only {size_bytes:,}")
    return parse_object(path, handle.read(length)), 8 + length


def _tensor(path: Path, name: str, entry: Any, data_start: int, file_bytes: int) -> StoredTensor:
    dtype, shape, offsets = _fields(path, name, entry)
    start, end = offsets
    needed_bytes = prod(shape) * ELEMENT_BYTES[dtype]
    if end - start != needed_bytes:
        raise bad_tensor(
            path, name, f"takes {end - start:,} bytes; {dtype} of shape {list(shape)} needs {needed_bytes:,}"
        )
    if data_start + end > file_bytes:
        raise bad_tensor(
            path,
            name,
            f"ends at byte {data_start + end:,}, but the file has only {file_bytes:,}: it is cut short",
        )
    return StoredTensor(name, path, dtype, shape, data_start + start, needed_bytes)


def _fields(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    values = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = values.get("dtype"), values.get("shape"), values.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in ELEMENT_BYTES:
        raise bad_tensor(path, name, f"has the unknown type {str(dtype)[:40]!r}")
    if not _are_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        raise bad_tensor(path, name, f"has the shape {str(shape)[:60]}")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise bad_tensor(path, name, f"has the offsets {str(offsets)[:60]}")
    return dtype, tuple(shape), (offsets[0], offsets[1])


def _are_counts(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 for value in values
    )


def _check_no_overlap(tensors: list[StoredTensor]) -> None:
    end, before = 0, ""
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset_bytes, tensor.size_bytes)):
        if tensor.size_bytes and tensor.offset_bytes < end:
            raise bad_tensor(tensor.path, tensor.name, f"lies over {before!r}")
        end, before = max(end, tensor.offset_bytes + tensor.size_bytes), tensor.name
