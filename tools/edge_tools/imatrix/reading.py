"""Reads llama.cpp's importance matrices: a GGUF file with two tensors for each weight.

WEIGHT.in_sum2: (columns, matrices) F32, sums of the squared inputs
WEIGHT.counts:  (1, matrices) F32, rows of input; one for all matrices, or one for each

Source: llama.cpp at 0c1e57098, tools/imatrix/imatrix.cpp and common/imatrix-loader.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import GgmlType, GgufStringArray, TensorInfo
from edge_runtime.values.units import format_bytes

from ..tensor_data import element_count, read_pieces
from .matrix import ColumnUse, ImportanceMatrix

SQUARES, COUNTS = ".in_sum2", ".counts"
DATASETS, CHUNKS, CHUNK_TOKENS = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"
_MAX_BYTES = 4_000_000_000  # the largest known, of a model with 256 experts a layer, has 1 GB
_MOST_ROWS = 1e15


def read_imatrix(path: Path) -> dict[str, NDArray[np.float32]]:
    """Weight's name -> (columns,) mean of the squared inputs; of all experts, one after another.

    Raises ModelNotFound, ModelFileInvalid, and ModelUnsupported for a GGUF file of another kind.
    """
    return read_importance_matrix(path).means()


def read_importance_matrix(path: Path) -> ImportanceMatrix:
    """All that is in the file. Raises as read_imatrix()."""
    header = read_header(path)
    _check_kind(header)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = [name.removesuffix(SQUARES) for name in tensors if name.endswith(SQUARES)]
    others = tensors.keys() - {name + ending for name in names for ending in (SQUARES, COUNTS)}
    if others or not names:
        expected = f"pairs of tensors, ...{SQUARES} and ...{COUNTS}"
        raise header.invalid(min(others, default="its tensors"), expected, "none" if not names else "another")
    return ImportanceMatrix(
        {name: _read_use(header, tensors, name) for name in names},
        _datasets(header),
        _number(header, CHUNKS),
        _number(header, CHUNK_TOKENS),
        path,
    )


def _check_kind(header: GgufHeader) -> None:
    kind = header.metadata.get("general.type")
    if kind != "imatrix":
        raise ModelUnsupported(
            f"{header.path.name} is a GGUF file, but no importance matrix",
            hint="make one with `edge-runtime imatrix MODEL --text FILE -o OUT`",
            path=str(header.path),
            found=str(kind)[:80],
        )
    if header.tensor_bytes > _MAX_BYTES:
        raise ModelUnsupported(
            f"{header.path.name} has {format_bytes(header.tensor_bytes)} of sums",
            hint=f"at most {format_bytes(_MAX_BYTES)} can be read",
            path=str(header.path),
        )


def _read_use(header: GgufHeader, tensors: Mapping[str, TensorInfo], name: str) -> ColumnUse:
    squares = _read_numbers(header, tensors[name + SQUARES])
    if name + COUNTS not in tensors:
        raise header.invalid(name, f"a tensor {name}{COUNTS}", "none")
    rows = _read_numbers(header, tensors[name + COUNTS])
    if rows.max() > _MOST_ROWS:
        raise header.invalid(name + COUNTS, f"at most {_MOST_ROWS:.0e} rows", rows.max())
    counts = np.rint(rows).astype(np.int64)
    if len(squares) % len(counts):
        raise header.invalid(name, f"sums for {len(counts)} matrices of one width", f"{len(squares)} sums")
    return ColumnUse(squares.reshape(len(counts), -1), counts)


def _read_numbers(header: GgufHeader, tensor: TensorInfo) -> NDArray[np.float64]:
    """(elements,) finite and not negative."""
    if tensor.type is not GgmlType.F32:
        raise header.invalid(tensor.name, "type F32", tensor.type.name)
    numbers = np.empty(element_count(tensor), np.float64)
    done = 0
    for piece in read_pieces(header, tensor):
        part = piece.view("<f4")
        numbers[done : done + len(part)] = part
        done += len(part)
    bad = ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        raise header.invalid(tensor.name, "sums of squares", numbers[int(bad.argmax())])
    return numbers


def _datasets(header: GgufHeader) -> tuple[str, ...]:
    found = header.metadata.get(DATASETS)
    return tuple(found) if isinstance(found, GgufStringArray) else ()


def _number(header: GgufHeader, key: str) -> int:
    """llama.cpp's quantizer wants it too."""
    found = header.metadata.get(key)
    if isinstance(found, bool) or not isinstance(found, int):
        raise header.invalid(key, "a whole number", found)
    return found
