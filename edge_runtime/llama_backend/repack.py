"""Which weights ggml's CPU backend would copy into another order ("repack"), asked of ggml itself."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .library import native

_BUFFER_OFFSET = 8  # of `buffer` in struct ggml_tensor; source: ggml/include/ggml.h at 0c1e57098
_PROBE_COLUMNS = 512
_MEMORY_BYTES = 1 << 14


class _InitParams(ctypes.Structure):
    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class RepackBuffers:
    """ggml's extra kinds of CPU buffers, and what they take."""

    def __init__(self) -> None:
        self._lib: ctypes.CDLL = native()._lib
        self._device = self._call("ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)(0)  # the CPU
        self.types = self._read_types()

    def _call(self, name: str, result: Any, *arguments: Any) -> Any:
        return ctypes.CFUNCTYPE(result, *arguments)((name, self._lib))

    def _read_types(self) -> list[int]:
        """ggml_backend_buffer_type_t, in the order in which llama.cpp tries them."""
        pointer = ctypes.c_void_p
        registry = self._call("ggml_backend_dev_backend_reg", pointer, pointer)(self._device)
        find = self._call("ggml_backend_reg_get_proc_address", pointer, pointer, ctypes.c_char_p)
        address = find(registry, b"ggml_backend_dev_get_extra_bufts")
        if not address:
            return []
        listed = ctypes.CFUNCTYPE(ctypes.POINTER(pointer), pointer)(address)(self._device)
        found: list[int] = []
        while listed and (kind := listed[len(found)]):
            found.append(kind)
        return found

    def type_for(self, ggml_type: int, shape: Sequence[int]) -> int | None:
        """The kind of buffer that takes a matrix of this type and shape for multiplication, if any does.

        Source: weight_buft_supported in llama.cpp src/llama-model-loader.cpp.
        """
        return next((kind for kind in self.types if self._takes(kind, ggml_type, shape)), None)

    def _takes(self, kind: int, ggml_type: int, shape: Sequence[int]) -> bool:
        pointer, integer, wide = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
        context = self._call("ggml_init", pointer, _InitParams)(_InitParams(_MEMORY_BYTES, None, True))
        make = self._call("ggml_new_tensor_4d", pointer, pointer, integer, wide, wide, wide, wide)
        sizes = [*shape, 1, 1, 1, 1][:4]
        weight = make(context, ggml_type, *sizes)
        other = make(context, 0, sizes[0], _PROBE_COLUMNS, *sizes[2:])  # 0: F32
        product = self._call("ggml_mul_mat", pointer, pointer, pointer, pointer)(context, weight, other)
        buffer = self._call("ggml_backend_buft_alloc_buffer", pointer, pointer, ctypes.c_size_t)(kind, 0)
        ctypes.c_void_p.from_address(weight + _BUFFER_OFFSET).value = buffer
        supports = self._call("ggml_backend_dev_supports_op", ctypes.c_bool, pointer, pointer)
        answer = bool(supports(self._device, product))
        self._call("ggml_backend_buffer_free", None, pointer)(buffer)
        self._call("ggml_free", None, pointer)(context)
        return answer


@lru_cache(maxsize=1)
def repack_buffers() -> RepackBuffers:
    """Raises EngineUnavailable."""
    return RepackBuffers()


@lru_cache(maxsize=1024)
def repack_type(ggml_type: int, shape: tuple[int, ...]) -> int | None:
    return repack_buffers().type_for(ggml_type, shape)
