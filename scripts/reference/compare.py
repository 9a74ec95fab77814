"""Two GGUF files, ours and llama.cpp's: tensors' names, order, shapes, types and bytes, and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import GgufStringArray, TensorInfo

# Names, which the two programs may choose differently.
NAMES = ("general.name", "general.basename", "general.finetune", "general.version", "general.size_label")


@dataclass
class Comparison:
    case: str
    type: str
    tensors: int = 0
    values: int = 0
    zeros: int = 0  # tensors of ours alone that are all zero, where the checkpoint leaves keys and values out
    answer: str = ""  # how llama.cpp's answer compares with transformers'
    note: str = ""  # what is not compared, and why
    differences: list[str] = field(default_factory=list)


def compare_files(row: Comparison, path: Path, reference_path: Path, apart: tuple[str, ...] = ()) -> None:
    """Note in `row` what is compared and what differs; metadata in `apart` is left out."""
    ours, theirs = read_header(path), read_header(reference_path)
    _compare_metadata(row, ours, theirs, {*NAMES, *apart})
    our_tensors, their_tensors = _by_name(ours), _by_name(theirs)
    extra = [name for name in our_tensors if name not in their_tensors]
    row.differences += [f"{name} is missing" for name in their_tensors if name not in our_tensors]
    for name in extra:
        if _numbers(ours, our_tensors[name]).any():
            row.differences.append(f"{name} is ours alone, and not zero")
    row.zeros = len(extra)
    order = [name for name in our_tensors if name in their_tensors]
    if order != list(their_tensors):
        row.differences.append("the tensors are in another order")
    for name in order:
        row.tensors += 1
        row.differences += _tensor_differences(row.type, ours, our_tensors[name], theirs, their_tensors[name])


def _tensor_differences(
    kind: str, ours: GgufHeader, our: TensorInfo, theirs: GgufHeader, their: TensorInfo
) -> Iterator[str]:
    expected = _bytes(theirs, their)
    if our.shape != their.shape:
        yield f"{our.name}: shape {our.shape}, expected {their.shape}"
        return
    wanted = their.type.name
    if kind == "q4_0":  # llama.cpp's converter has no such type: its quantizer's reference is asked instead
        expected, wanted = _as_q4_0(our, expected)
    if our.type.name != wanted:
        yield f"{our.name}: type {our.type.name}, expected {wanted}"
        return
    found = _bytes(ours, our)
    if found.shape != expected.shape or (found != expected).any():
        yield f"{our.name}: {np.count_nonzero(found != expected):,} of {len(found):,} bytes differ"


def _as_q4_0(our: TensorInfo, expected: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], str]:
    """What gguf-py makes of llama.cpp's F32 tensor."""
    import gguf

    if our.type.name not in ("Q4_0", "F16"):
        return expected, "F32"
    rows = expected.view(np.float32).reshape(-1, our.shape[0])
    wanted = "Q4_0" if our.shape[0] % 32 == 0 else "F16"
    kind = gguf.GGMLQuantizationType[wanted]
    return np.ascontiguousarray(gguf.quants.quantize(rows, kind)).view(np.uint8).reshape(-1), wanted


def _compare_metadata(row: Comparison, ours: GgufHeader, theirs: GgufHeader, apart: set[str]) -> None:
    for key in sorted({*ours.metadata, *theirs.metadata} - apart):
        if row.type == "q4_0" and key == "general.file_type":
            continue
        row.values += 1
        found, expected = _plain(ours.metadata.get(key)), _plain(theirs.metadata.get(key))
        if found != expected:
            row.differences.append(f"{key}: {str(found)[:80]}, expected {str(expected)[:80]}")


def _plain(value: object) -> object:
    if isinstance(value, GgufStringArray):
        return list(value.iter_bytes())
    return (str(value.dtype), value.tolist()) if isinstance(value, np.ndarray) else (type(value), value)


def _by_name(header: GgufHeader) -> dict[str, TensorInfo]:
    return {tensor.name: tensor for tensor in header.tensors}


def _bytes(header: GgufHeader, tensor: TensorInfo) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with header.path.open("rb") as handle:
        handle.seek(tensor.offset_bytes)
        return np.frombuffer(handle.read(tensor.size_bytes), np.uint8)


def _numbers(header: GgufHeader, tensor: TensorInfo) -> np.ndarray[Any, np.dtype[np.float32]]:
    import gguf

    raw = _bytes(header, tensor).reshape(-1, tensor.size_bytes)
    numbers: np.ndarray[Any, np.dtype[np.float32]] = gguf.quants.dequantize(
        raw, gguf.GGMLQuantizationType(int(tensor.type))
    )
    return numbers
