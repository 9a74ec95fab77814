"""The header of a file that does not exist yet: what llama.cpp will write, to the byte."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgmlType, GgufStringArray, GgufValueType, TensorInfo
from edge_runtime.gguf.writing import HeaderValue, RawValue, padded, raw_metadata
from edge_runtime.gguf.writing.header_bytes import ALIGNMENT_BYTES, header_bytes

_QUANTIZATION_VERSION = 2  # source: ggml/include/ggml.h, GGML_QNT_VERSION
_SPLIT_KEYS = ("split.no", "split.count", "split.tensors.count")
_STRING = struct.pack("<I", GgufValueType.STRING)


def changes_of(source: GgufHeader, file_type: int, more: Mapping[str, int | str]) -> dict[str, int | str]:
    """What the new file's metadata say otherwise; of llama_ftype, the body's."""
    changes: dict[str, int | str] = {"general.file_type": file_type, **more}
    if "general.alignment" in source.metadata:  # llama.cpp would keep the key, and pads to the default
        changes["general.alignment"] = ALIGNMENT_BYTES
    return changes


def future_header(
    source: GgufHeader, path: Path, types: Mapping[str, GgmlType], changes: Mapping[str, int | str]
) -> GgufHeader:
    """Enough to plan with: tensors in the order of `types`, in those types. Reads nothing."""
    kept = {key: value for key, value in source.metadata.items() if key not in _SPLIT_KEYS}
    tensors = _placed(source, types)
    data_bytes = sum(padded(tensor.size_bytes) for tensor in tensors)
    return GgufHeader(path, (path,), 3, {**kept, **changes}, tensors, 0, data_bytes)


def stored_metadata(source: GgufHeader, changes: Mapping[str, int | str]) -> dict[str, HeaderValue]:
    """All keys of the new file as they will stand in it. Raises ModelFileInvalid when the source shrank."""
    stored: dict[str, HeaderValue] = {
        key: _as_llama_copies(source, key, raw)
        for key, raw in raw_metadata(source).items()
        if key not in _SPLIT_KEYS
    }
    return {**stored, "general.quantization_version": _QUANTIZATION_VERSION, **changes}


def with_places(header: GgufHeader, stored: Mapping[str, HeaderValue]) -> GgufHeader:
    """The same with the tensors where they will be, and the file's size."""
    start_bytes = len(header_bytes(stored, header.tensors))
    tensors = tuple(replace(t, offset_bytes=start_bytes + t.offset_bytes) for t in header.tensors)
    size_bytes = start_bytes + header.file_size_bytes
    return replace(header, tensors=tensors, data_offset_bytes=start_bytes, file_size_bytes=size_bytes)


def _placed(source: GgufHeader, types: Mapping[str, GgmlType]) -> tuple[TensorInfo, ...]:
    """Offsets count from the start of the data."""
    known = {tensor.name: tensor for tensor in source.tensors}
    placed: list[TensorInfo] = []
    offset_bytes = 0
    for name, kind in types.items():
        shape = _significant(known[name].shape)
        size_bytes = prod(shape) // kind.block_elements * kind.block_bytes
        placed.append(TensorInfo(name, shape, kind, offset_bytes, size_bytes, 0))
        offset_bytes += padded(size_bytes)
    return tuple(placed)


def _significant(shape: tuple[int, ...]) -> tuple[int, ...]:
    """llama.cpp does not write dimensions of 1 at the end."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape or (1,)


def _as_llama_copies(source: GgufHeader, key: str, raw: RawValue) -> HeaderValue:
    """It takes texts for C's, which end at a zero byte. Source: ggml/src/gguf.cpp, gguf_set_kv."""
    value = source.metadata[key]
    if isinstance(value, GgufStringArray) and any(b"\0" in text for text in value.iter_bytes()):
        return [text.partition(b"\0")[0] for text in value.iter_bytes()]
    if isinstance(value, str) and "\0" in value:
        text = raw.content[12:].partition(b"\0")[0]
        return RawValue(_STRING + struct.pack("<Q", len(text)) + text)
    return raw
