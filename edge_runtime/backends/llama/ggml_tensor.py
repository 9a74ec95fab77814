"""The structure of ggml's tensors, checked against ggml's own accessors.

Source: struct ggml_tensor in llama.cpp ggml/include/ggml.h at 0c1e57098.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...errors import EngineUnavailable
from .library import native

F32, I32 = 0, 26  # source: enum ggml_type
_MEMORY_BYTES = 1 << 14
_LAYOUT_HINT = "llama-cpp-python must be the version that edge-runtime asks for: run scripts/setup.sh"


class GgmlTensor(ctypes.Structure):
    """A view of a tensor: GgmlTensor.from_address(pointer)."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("sizes", ctypes.c_int64 * 4),  # the dimension that is contiguous in memory comes first
        ("strides_bytes", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("sources", ctypes.c_void_p * 10),
        ("view_source", ctypes.c_void_p),
        ("view_offset_bytes", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
    )


class _InitParams(ctypes.Structure):
    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def ggml_function(name: str, result: Any, *arguments: Any) -> Any:
    """One of ggml's exported functions. Raises EngineUnavailable where this build has none of that name."""
    try:
        return ctypes.CFUNCTYPE(result, *arguments)((name, native()._lib))
    except AttributeError as error:
        raise EngineUnavailable(f"this build of llama.cpp has no {name}", hint=_LAYOUT_HINT) from error


@contextmanager
def ggml_context(*, no_alloc: bool = True) -> Iterator[int]:
    """Room for a few tensors."""
    pointer = ctypes.c_void_p
    context = ggml_function("ggml_init", pointer, _InitParams)(_InitParams(_MEMORY_BYTES, None, no_alloc))
    try:
        yield context
    finally:
        ggml_function("ggml_free", None, pointer)(context)


def new_tensor(context: int, ggml_type: int, sizes: tuple[int, int, int, int]) -> int:
    pointer, wide = ctypes.c_void_p, ctypes.c_int64
    make = ggml_function("ggml_new_tensor_4d", pointer, pointer, ctypes.c_int, wide, wide, wide, wide)
    return int(make(context, ggml_type, *sizes))


def matrix_product(context: int, weight: int, other: int) -> int:
    pointer = ctypes.c_void_p
    return int(ggml_function("ggml_mul_mat", pointer, pointer, pointer, pointer)(context, weight, other))


@dataclass(frozen=True)
class ProductOps:
    """Numbers of the operations that multiply with weights."""

    plain: int  # GGML_OP_MUL_MAT
    experts: int  # GGML_OP_MUL_MAT_ID


@lru_cache(maxsize=1)
def product_ops() -> ProductOps:
    """Taken from two products made here, on which the structure above is tried too.

    Raises EngineUnavailable when a build lays out its tensors in another way: reading
    them all the same could end the process.
    """
    with ggml_context(no_alloc=False) as context:
        weight = new_tensor(context, F32, (7, 5, 3, 1))
        other, routed = new_tensor(context, F32, (7, 4, 3, 1)), new_tensor(context, F32, (7, 2, 4, 1))
        experts = new_tensor(context, I32, (2, 4, 1, 1))
        pointer = ctypes.c_void_p
        ggml_function("ggml_set_name", pointer, pointer, ctypes.c_char_p)(weight, b"a weight")
        plain = matrix_product(context, weight, other)
        by_expert = ggml_function("ggml_mul_mat_id", pointer, *[pointer] * 4)
        indirect = int(by_expert(context, weight, routed, experts))
        _check_layout(weight, plain, "MUL_MAT", (weight, other))
        _check_layout(weight, indirect, "MUL_MAT_ID", (weight, routed, experts))
        return ProductOps(GgmlTensor.from_address(plain).op, GgmlTensor.from_address(indirect).op)


def _check_layout(weight: int, product: int, op: str, sources: tuple[int, ...]) -> None:
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    data = ggml_function("ggml_get_data", pointer, pointer)
    name = ggml_function("ggml_get_name", text, pointer)
    op_of = ggml_function("ggml_op_desc", text, pointer)
    seen, made = GgmlTensor.from_address(weight), GgmlTensor.from_address(product)
    found = {
        "sizes": (tuple(seen.sizes), (7, 5, 3, 1)),
        "strides": (tuple(seen.strides_bytes), (4, 28, 140, 420)),
        "types": (
            (seen.type, GgmlTensor.from_address(sources[-1]).type),
            (F32, F32 if op == "MUL_MAT" else I32),
        ),
        "name": (seen.name, name(weight)),
        "data": (seen.data, data(weight)),
        "data of a product": (made.data, data(product)),
        "sources": (tuple(made.sources)[: len(sources)], sources),
        "operation": (op_of(product), op.encode()),
    }
    wrong = [what for what, (here, there) in found.items() if here != there or not here]
    if wrong or seen.op:
        raise EngineUnavailable(
            f"this build of llama.cpp lays out tensors in another way ({', '.join(wrong) or 'operation'})",
            hint=_LAYOUT_HINT,
        )
