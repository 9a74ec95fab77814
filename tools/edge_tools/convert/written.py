"""The new file: its contents, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from edge_runtime.gguf.writing import HeaderValue, NewTensor, write_gguf
from edge_runtime.values.progress import Progress

from .chunks import chunks
from .encode_threads import EncodeThreads
from .weights import Filled


@dataclass(frozen=True)
class Converted:
    path: Path
    architecture: str  # GGUF's
    type: str  # of TYPES
    tensors: int
    parameters: int
    size_bytes: int  # of the whole file

    def as_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "architecture": self.architecture,
            "type": self.type,
            "tensors": self.tensors,
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
        }


def write_filled(
    path: Path,
    metadata: Mapping[str, HeaderValue],
    filled: Sequence[Filled],
    *,
    force: bool,
    smaller: str,
    progress: Progress,
) -> int:
    """Write the file and return its size in bytes: see write_gguf. Raises ConversionError besides."""
    with EncodeThreads(chain.from_iterable(map(chunks, filled))) as threads:
        tensors = [_tensor(threads, tensor) for tensor in filled]
        return write_gguf(path, metadata, tensors, force=force, smaller=smaller, progress=progress)


def _tensor(threads: EncodeThreads, filled: Filled) -> NewTensor:
    """With its dimensions in ggml's order, the row length first. Tensors have to be written in order."""
    shape = tuple(reversed(filled.target.written_shape))
    return NewTensor(filled.target.name, shape, filled.kind, partial(threads.next_pieces, filled.size_bytes))
