"""The beginning of a GGUF file: metadata and tensor table, as bytes.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import NUMBER_DTYPES, GgufStringArray, GgufValueType, TensorInfo

ALIGNMENT_BYTES = 32  # GGUF's default: where each tensor's data may begin


@dataclass(frozen=True)
class RawValue:
    """A value as it stands in a file, its type before it: for types that Python does not tell apart."""

    content: bytes


HeaderValue = bool | int | float | str | Sequence[object] | NDArray[np.generic] | GgufStringArray | RawValue


def header_bytes(metadata: Mapping[str, HeaderValue], tensors: Sequence[TensorInfo]) -> bytes:
    """All that stands before the data, padded to where the first tensor begins.

    The offsets in `tensors` count from the start of the data. Whole numbers become
    UINT32 and fractions FLOAT32; in lists INT32 and FLOAT32, in arrays their own type.
    """
    start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    keys = [_string(key.encode()) + _value(value) for key, value in metadata.items()]
    header = b"".join([start, *keys, *map(_tensor, tensors)])
    return header + bytes(-len(header) % ALIGNMENT_BYTES)


def _tensor(tensor: TensorInfo) -> bytes:
    sizes = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return _string(tensor.name.encode()) + sizes + struct.pack("<IQ", tensor.type, tensor.offset_bytes)


def _value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return _number(GgufValueType.BOOL, "?", value)
    if isinstance(value, int):
        return _number(GgufValueType.UINT32, "I", value)
    if isinstance(value, float):
        return _number(GgufValueType.FLOAT32, "f", value)
    if isinstance(value, str):
        return struct.pack("<I", GgufValueType.STRING) + _string(value.encode())
    if isinstance(value, RawValue):
        return value.content
    if isinstance(value, GgufStringArray):
        return _strings(value.iter_bytes(), len(value))
    return _array(value)


def _array(values: Sequence[object] | NDArray[np.generic]) -> bytes:
    if not isinstance(values, np.ndarray):
        if values and isinstance(values[0], bytes):
            return _strings((item for item in values if isinstance(item, bytes)), len(values))
        values = np.array(values)
        values = values.astype({"i": "<i4", "f": "<f4"}.get(values.dtype.kind, values.dtype))
    kind = GgufValueType.BOOL if values.dtype == bool else _NUMBERS[values.dtype]
    return struct.pack("<IIQ", GgufValueType.ARRAY, kind, len(values)) + values.tobytes()


_NUMBERS = {dtype: kind for kind, dtype in NUMBER_DTYPES.items() if kind is not GgufValueType.BOOL}


def _number(kind: GgufValueType, code: str, value: float) -> bytes:
    return struct.pack(f"<I{code}", kind, value)


def _strings(items: Iterable[bytes], count: int) -> bytes:
    start = struct.pack("<IIQ", GgufValueType.ARRAY, GgufValueType.STRING, count)
    return start + b"".join(map(_string, items))


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text
