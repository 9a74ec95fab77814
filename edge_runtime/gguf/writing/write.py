"""Writing a GGUF file: tensors in order, each streamed in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ...values.output_file import output_file
from ...values.progress import QUIET, Progress
from ..types import GgmlType, TensorInfo
from .header_bytes import ALIGNMENT_BYTES, HeaderValue, header_bytes
from .writeback import Writeback


@dataclass(frozen=True)
class NewTensor:
    """`shape` in ggml's order, the row length first; `pieces` yields its data, size_bytes in all."""

    name: str
    shape: tuple[int, ...]
    type: GgmlType
    pieces: Callable[[], Iterable[bytes | memoryview]]

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) // self.type.block_elements * self.type.block_bytes


def write_gguf(
    path: Path,
    metadata: Mapping[str, HeaderValue],
    tensors: Sequence[NewTensor],
    *,
    force: bool,
    smaller: str,
    progress: Progress = QUIET,
) -> int:
    """Write the file and return its size in bytes. It gets its name when it is whole, or not at all.

    `smaller` says what would take less room, for the error of a full disk: "a smaller type=".
    Raises StorageFull or OptionInvalid, and whatever `pieces` raises.
    """
    infos = _place(tensors)
    header = header_bytes(metadata, infos)
    total_bytes = len(header) + sum(padded(tensor.size_bytes) for tensor in tensors)
    with (
        output_file(path, total_bytes, force=force, smaller=smaller) as file,
        progress.bar(path.name, total_bytes, 0) as advance,
    ):
        file.write(header)
        advance(len(header))
        writeback = Writeback(file)
        for tensor in tensors:
            for piece in tensor.pieces():
                file.write(piece)
                writeback.add(len(piece))
                advance(len(piece))
            padding_bytes = padded(tensor.size_bytes) - tensor.size_bytes
            file.write(bytes(padding_bytes))
            advance(padding_bytes)
    return total_bytes


def padded(size_bytes: int) -> int:
    """With what stands between a tensor's data and the next one's."""
    return size_bytes + -size_bytes % ALIGNMENT_BYTES


def _place(tensors: Sequence[NewTensor]) -> list[TensorInfo]:
    """Offsets count from the start of the data."""
    infos: list[TensorInfo] = []
    offset_bytes = 0
    for tensor in tensors:
        infos.append(TensorInfo(tensor.name, tensor.shape, tensor.type, offset_bytes, tensor.size_bytes, 0))
        offset_bytes += padded(tensor.size_bytes)
    return infos
