"""A model in several files, named and numbered as llama.cpp wants them.

Source: llama.cpp at 0c1e57098, tools/gguf-split/gguf-split.cpp and llama_split_path. There
the first file's metadata is not counted; here no file is larger than was asked for.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgufValueType, TensorInfo
from edge_runtime.gguf.writing import HeaderValue, NewTensor, RawValue, padded, write_gguf
from edge_runtime.gguf.writing.header_bytes import ALIGNMENT_BYTES, header_bytes
from edge_runtime.values.progress import Progress
from edge_runtime.values.units import ByteUnits, format_bytes, size_to_type

from ..tensor_data import read_pieces

_MOST_FILES = 1000  # read_header's limit
SMALLER = "a smaller type="  # for a full disk's hint
Shard = tuple[TensorInfo, ...]


def shard_path(path: Path, number: int, count: int) -> Path:
    """`number` from 0: model.gguf -> model-00001-of-00003.gguf."""
    stem = path.name.removesuffix(".gguf")
    return path.with_name(f"{stem}-{number + 1:05}-of-{count:05}.gguf")


def divided(
    tensors: Sequence[TensorInfo],
    metadata: Mapping[str, HeaderValue],
    most_bytes: int,
    byte_units: ByteUnits = ByteUnits.DECIMAL,
) -> list[Shard]:
    """Tensors in their order, as many to a file as fit it; the first may have none.

    Raises OptionInvalid when a tensor, or the metadata, is larger than a file may be.
    """
    first_bytes, next_bytes = (_start_bytes(values, len(tensors)) for values in (metadata, {}))
    least_bytes = max(first_bytes, *(next_bytes + _needed_bytes(tensor) for tensor in tensors))
    if most_bytes < max(least_bytes, sum(map(_needed_bytes, tensors)) // _MOST_FILES):
        raise _too_small(most_bytes, least_bytes, byte_units)
    shards: list[list[TensorInfo]] = [[]]
    room_bytes = most_bytes - first_bytes
    for tensor in tensors:
        if _needed_bytes(tensor) > room_bytes:
            shards.append([])
            room_bytes = most_bytes - next_bytes
        shards[-1].append(tensor)
        room_bytes -= _needed_bytes(tensor)
    return [tuple(shard) for shard in shards]


def _start_bytes(metadata: Mapping[str, HeaderValue], tensors: int) -> int:
    """Of a file's header before any tensor is in its table, and what rounding up may add."""
    return len(header_bytes(_metadata(metadata, 0, 1, tensors), ())) + ALIGNMENT_BYTES


def _needed_bytes(tensor: TensorInfo) -> int:
    """Of data, and of the line in the table: two texts' and numbers' worth."""
    return padded(tensor.size_bytes) + 8 + len(tensor.name.encode()) + 4 + 8 * len(tensor.shape) + 4 + 8


def _metadata(
    values: Mapping[str, HeaderValue], number: int, count: int, tensors: int
) -> dict[str, HeaderValue]:
    """The first file has the model's; llama.cpp ends the process where these are of other types."""
    return {
        **(values if number == 0 else {}),
        "split.no": RawValue(struct.pack("<IH", GgufValueType.UINT16, number)),
        "split.count": RawValue(struct.pack("<IH", GgufValueType.UINT16, count)),
        "split.tensors.count": RawValue(struct.pack("<Ii", GgufValueType.INT32, tensors)),
    }


def shard_sizes(shards: Sequence[Shard], metadata: Mapping[str, HeaderValue]) -> list[int]:
    """Bytes of each file."""
    tensors = sum(map(len, shards))
    headers = [
        len(header_bytes(_metadata(metadata, number, len(shards), tensors), shard))
        for number, shard in enumerate(shards)
    ]
    data = [sum(padded(tensor.size_bytes) for tensor in shard) for shard in shards]
    return [sum(sizes) for sizes in zip(headers, data, strict=True)]


def write_shards(
    whole: GgufHeader,
    metadata: Mapping[str, HeaderValue],
    shards: Sequence[Shard],
    first: Path,
    progress: Progress,
) -> list[Path]:
    """Moves the tensors of one file, whose header was read, into files beside `first`.

    From the last to the first, and `whole` is cut off behind what is still to be moved: so
    the disk holds only one part twice. Raises StorageFull, and OptionInvalid for a file that exists.
    """
    count, tensors = len(shards), sum(map(len, shards))
    paths = [shard_path(first, number, count) for number in range(count)]
    stored = {tensor.name: tensor for tensor in whole.tensors}
    for number in reversed(range(count)):
        here = [stored[tensor.name] for tensor in shards[number]]
        moved = [NewTensor(t.name, t.shape, t.type, partial(_pieces, whole, t)) for t in here]
        values = _metadata(metadata, number, count, tensors)
        write_gguf(paths[number], values, moved, force=False, smaller=SMALLER, progress=progress)
        if here:
            os.truncate(whole.path, here[0].offset_bytes)
    return paths


def _pieces(header: GgufHeader, tensor: TensorInfo) -> Iterator[memoryview]:
    return (piece.data for piece in read_pieces(header, tensor))


def _too_small(most_bytes: int, least_bytes: int, units: ByteUnits) -> OptionInvalid:
    return OptionInvalid(
        f"split_bytes: {format_bytes(most_bytes, units)} is too small: a tensor cannot be divided, and the "
        f"largest makes a file of {format_bytes(least_bytes, units)}",
        hint=f"give {size_to_type(least_bytes, units)} or more",
        option="split_bytes",
        value=most_bytes,
    )
