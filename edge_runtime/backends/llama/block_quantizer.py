"""Quantizing numbers into blocks with ggml's own functions, which let other threads run meanwhile.

Source: llama.cpp ggml/include/ggml.h, ggml_quantize_chunk; ggml/src/ggml-cpu/quants.h, quantize_row_q8_0;
at 0c1e57098.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EngineUnavailable
from ...gguf.types import GgmlType
from .ggml_tensor import ggml_function

QuantizeBlocks = Callable[[NDArray[np.float32], NDArray[np.uint8]], None]
"""(numbers,) whole blocks -> (bytes,) of these, both contiguous."""

_POINTER, _COUNT, _SIZE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t


def reference_quantizer(kind: GgmlType) -> QuantizeBlocks:
    """What `quantize` makes of a type that needs no importance matrix.

    Raises EngineUnavailable where llama.cpp is not here, or a build knows the type otherwise.
    """
    chunk = (ctypes.c_int, _POINTER, _POINTER, _COUNT, _COUNT, _COUNT, _POINTER)
    quantize = ggml_function("ggml_quantize_chunk", _SIZE, *chunk)
    return _checked(kind, lambda source, to, count: quantize(kind, source, to, 0, 1, count, None))


def activation_quantizer() -> QuantizeBlocks:
    """What a CPU makes of activations, in Q8_0: many times as fast, and with roundings of its own.

    Raises EngineUnavailable as reference_quantizer(), or where the library keeps the function to itself.
    """
    return _checked(GgmlType.Q8_0, ggml_function("quantize_row_q8_0", None, _POINTER, _POINTER, _COUNT))


def _checked(kind: GgmlType, quantize: Callable[[int, int, int], Any]) -> QuantizeBlocks:
    """With its sizes compared first: an unknown type, or room for too few bytes, would end the process."""
    elements = ggml_function("ggml_blck_size", _COUNT, ctypes.c_int)(kind)
    size_bytes = ggml_function("ggml_type_size", _SIZE, ctypes.c_int)(kind)
    if (elements, size_bytes) != (kind.block_elements, kind.block_bytes):
        raise EngineUnavailable(
            f"this build of llama.cpp has another {kind.name}",
            hint="llama-cpp-python must be the version that edge-runtime asks for: run scripts/setup.sh",
        )

    def quantize_blocks(numbers: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
        if numbers.size // elements * size_bytes != out.size or numbers.size % elements:
            raise ValueError(f"{numbers.size} numbers do not fill {out.size} bytes of {kind.name}")
        if numbers.size:  # rows of no length end the process too
            quantize(numbers.ctypes.data, out.ctypes.data, numbers.size)

    return quantize_blocks
