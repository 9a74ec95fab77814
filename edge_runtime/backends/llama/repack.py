"""The weights that ggml's CPU backend would copy into another order ("repack"), asked of ggml itself."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache

from .ggml_tensor import F32, GgmlTensor, ggml_context, ggml_function, matrix_product, new_tensor

_PROBE_COLUMNS = 512


class RepackBuffers:
    """ggml's extra kinds of CPU buffers, and what they take."""

    def __init__(self) -> None:
        self._device = ggml_function("ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)(0)  # the CPU
        self.types = self._read_types()

    def _read_types(self) -> list[int]:
        """ggml_backend_buffer_type_t, in the order in which llama.cpp tries them."""
        pointer = ctypes.c_void_p
        registry = ggml_function("ggml_backend_dev_backend_reg", pointer, pointer)(self._device)
        find = ggml_function("ggml_backend_reg_get_proc_address", pointer, pointer, ctypes.c_char_p)
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
        pointer = ctypes.c_void_p
        n0, n1, n2, n3 = [*shape, 1, 1, 1, 1][:4]
        with ggml_context() as context:
            weight = new_tensor(context, ggml_type, (n0, n1, n2, n3))
            product = matrix_product(context, weight, new_tensor(context, F32, (n0, _PROBE_COLUMNS, n2, n3)))
            buffer = ggml_function("ggml_backend_buft_alloc_buffer", pointer, pointer, ctypes.c_size_t)(
                kind, 0
            )
            GgmlTensor.from_address(weight).buffer = buffer
            supports = ggml_function("ggml_backend_dev_supports_op", ctypes.c_bool, pointer, pointer)
            answer = bool(supports(self._device, product))
            ggml_function("ggml_backend_buffer_free", None, pointer)(buffer)
        return answer


@lru_cache(maxsize=1)
def repack_buffers() -> RepackBuffers:
    """Raises EngineUnavailable."""
    return RepackBuffers()


@lru_cache(maxsize=1024)
def repack_type(ggml_type: int, shape: tuple[int, ...]) -> int | None:
    return repack_buffers().type_for(ggml_type, shape)
