"""Weights as plain numbers, whatever type they are stored in: ggml's own functions do it.

Source: struct ggml_type_traits in llama.cpp ggml/include/ggml.h at 0c1e57098.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EngineUnavailable, ModelFileInvalid, ModelUnsupported
from ...gguf.types import GgmlType
from .ggml_tensor import ggml_function


class _TypeTraits(ctypes.Structure):
    """A line of ggml's table of types, which is an array of them."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block_elements", ctypes.c_int64),
        ("interleaved_elements", ctypes.c_int64),
        ("block_bytes", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.c_void_p),  # NULL where there is none
        ("from_float", ctypes.c_void_p),
    )


_ToFloat = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)  # releases the GIL
# Tells the two functions of a type apart: Q8_1 has only the second one, IQ2_XXS only the first.
_HAVE_NONE, _HAVE_ONE = (GgmlType.F32, GgmlType.Q8_1), (GgmlType.F16, GgmlType.IQ2_XXS)


def to_float32(blocks: NDArray[np.uint8], kind: GgmlType) -> NDArray[np.float32]:
    """(bytes,) whole blocks of a quantized type, of F16 or of BF16 -> (weights,).

    Raises ModelUnsupported for a type that ggml does not convert (F32 and F64, integers, and
    those it only calculates with), ModelFileInvalid for a part of a block; EngineUnavailable
    as check_codec().
    """
    convert = _converters().get(kind)
    if convert is None:
        raise ModelUnsupported(
            f"llama.cpp cannot read weights of {kind.name}",
            hint="no model's weights are stored like that; convert it again",
            type=kind.name,
        )
    count, rest_bytes = divmod(blocks.size, kind.block_bytes)
    if rest_bytes:
        raise ModelFileInvalid(
            f"{kind.name} is stored in blocks of {kind.block_bytes} bytes, found {blocks.size} bytes",
            hint="the file was cut or damaged: copy or convert it again",
            type=kind.name,
            size_bytes=blocks.size,
        )
    blocks = np.ascontiguousarray(blocks)
    weights = np.empty(count * kind.block_elements, np.float32)
    convert(blocks.ctypes.data, weights.ctypes.data, weights.size)
    return weights


def check_codec() -> None:
    """Raises EngineUnavailable when llama.cpp is not here, or a build describes its types otherwise."""
    _converters()


@lru_cache(maxsize=1)
def _converters() -> dict[GgmlType, Any]:
    """ggml's function for each type that has one. None is taken before the whole table makes sense."""
    known = [kind for kind in GgmlType if _is_known(kind)]
    traits = {kind: _TypeTraits.from_address(_traits_address(kind)) for kind in known}
    wrong = [kind.name for kind in known if not _makes_sense(traits[kind], kind)]
    wrong += [kind.name for kind in _HAVE_NONE if kind not in traits or traits[kind].to_float]
    wrong += [kind.name for kind in _HAVE_ONE if kind not in traits or not traits[kind].to_float]
    if wrong:
        raise EngineUnavailable(
            f"this build of llama.cpp describes its types in another way ({', '.join(wrong[:4])})",
            hint="llama-cpp-python must be the version that edge-runtime asks for: run scripts/setup.sh",
        )
    return {kind: _ToFloat(line.to_float) for kind, line in traits.items() if line.to_float}


def _is_known(kind: GgmlType) -> bool:
    """Numbers first: where an older build has no such type, what it says of it is whatever comes to hand,
    and its name could not even be read."""
    elements = ggml_function("ggml_blck_size", ctypes.c_int64, ctypes.c_int)(kind)
    size_bytes = ggml_function("ggml_type_size", ctypes.c_size_t, ctypes.c_int)(kind)
    return (elements, size_bytes) == (kind.block_elements, kind.block_bytes) and _name(
        kind
    ) == kind.name.lower()


def _makes_sense(line: _TypeTraits, kind: GgmlType) -> bool:
    """Whether it says what ggml's own functions say, and lies where a table of such lines has it."""
    is_quantized = ggml_function("ggml_is_quantized", ctypes.c_bool, ctypes.c_int)(kind)
    place = _traits_address(GgmlType.F32) + kind * ctypes.sizeof(_TypeTraits)
    if ctypes.addressof(line) != place or line.block_elements != kind.block_elements:
        return False
    if (line.block_bytes, line.is_quantized) != (kind.block_bytes, is_quantized):
        return False
    return bool(line.name.decode().lower() == kind.name.lower())


def _name(kind: GgmlType) -> str:
    return str(ggml_function("ggml_type_name", ctypes.c_char_p, ctypes.c_int)(kind).decode().lower())


def _traits_address(kind: GgmlType) -> int:
    return int(ggml_function("ggml_get_type_traits", ctypes.c_void_p, ctypes.c_int)(kind))
