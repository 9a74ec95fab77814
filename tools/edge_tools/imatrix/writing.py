"""Writes an importance matrix as llama.cpp's tools read it; the format is in reading.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType
from edge_runtime.gguf.writing import HeaderValue, NewTensor, write_gguf

from .matrix import ImportanceMatrix
from .reading import CHUNK_TOKENS, CHUNKS, COUNTS, DATASETS, SQUARES


def write_imatrix(matrix: ImportanceMatrix, *, force: bool) -> int:
    """To matrix.path; returns the file's size in bytes. Raises OptionInvalid and StorageFull."""
    metadata: dict[str, HeaderValue] = {
        "general.type": "imatrix",
        DATASETS: [name.encode() for name in matrix.datasets],
        CHUNKS: matrix.chunks,
        CHUNK_TOKENS: matrix.chunk_tokens,
    }
    smaller = "free some room there"
    return write_gguf(matrix.path, metadata, list(_tensors(matrix)), force=force, smaller=smaller)


def _tensors(matrix: ImportanceMatrix) -> Iterator[NewTensor]:
    for name, use in matrix.uses.items():
        yield _tensor(name + SQUARES, use.squares)
        yield _tensor(name + COUNTS, use.counts[:, None])


def _tensor(name: str, rows: NDArray[np.generic]) -> NewTensor:
    data = rows.astype("<f4").tobytes()
    return NewTensor(name, rows.shape[::-1], GgmlType.F32, lambda: [data])
