"""Weights as plain numbers, whatever type they are stored in: llama.cpp's own Python package does it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineUnavailable, ModelUnsupported
from ..gguf_types import GgmlType

_PLAIN = {
    GgmlType.I8: "i1",
    GgmlType.I16: "<i2",
    GgmlType.I32: "<i4",
    GgmlType.I64: "<i8",
    GgmlType.F64: "<f8",
    GgmlType.F32: "<f4",
    GgmlType.F16: "<f2",
}


def dequantize(piece: NDArray[np.uint8], kind: GgmlType) -> NDArray[np.float32]:
    """(bytes,) whole blocks -> (weights,).

    Raises EngineUnavailable when the package `gguf` is not installed, ModelUnsupported
    for a type it does not know.
    """
    with np.errstate(all="ignore"):  # NaN and infinity may be in a damaged file
        if kind in _PLAIN:
            return piece.view(_PLAIN[kind]).astype(np.float32)
        gguf = import_gguf()
        try:
            weights = gguf.quants.dequantize(piece.reshape(1, -1), gguf.GGMLQuantizationType(int(kind)))
        except (NotImplementedError, ValueError) as error:  # ValueError: the package is older than the type
            raise ModelUnsupported(
                f"the package gguf cannot read weights of {kind.name}",
                hint='a newer one may: pip install --upgrade "edge-runtime[tools]"',
                type=kind.name,
            ) from error
        return np.asarray(weights, np.float32).reshape(-1)


def import_gguf() -> Any:
    try:
        import gguf
        import gguf.quants
    except ImportError as error:
        raise EngineUnavailable(
            "this needs the Python package gguf, which is not installed",
            hint='pip install "edge-runtime[tools]"',
        ) from error
    return gguf
