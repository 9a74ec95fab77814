"""Dequantizing: weights as plain numbers, from any type."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends.llama.weight_codec import to_float32
from edge_runtime.gguf.types import GgmlType

_PLAIN = {
    GgmlType.I8: "i1",
    GgmlType.I16: "<i2",
    GgmlType.I32: "<i4",
    GgmlType.I64: "<i8",
    GgmlType.F64: "<f8",
    GgmlType.F32: "<f4",
}


def dequantize(piece: NDArray[np.uint8], kind: GgmlType) -> NDArray[np.float32]:
    """(bytes,) whole blocks -> (weights,). Raises as to_float32."""
    if kind not in _PLAIN:
        return to_float32(piece, kind)
    with np.errstate(all="ignore"):  # NaN, infinity and what is too large may be in a damaged file
        return piece.view(_PLAIN[kind]).astype(np.float32)
