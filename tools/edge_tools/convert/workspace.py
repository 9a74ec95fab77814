"""Buffers for reading and encoding one piece of a tensor, used again and again."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType

from .encode import Encoder
from .stored_numbers import StoredNumbers


class Workspace:
    """For one piece at a time, which may be in any thread."""

    def __init__(self) -> None:
        self.numbers = StoredNumbers()
        self._encoders: dict[GgmlType, Encoder] = {}
        self._room = np.empty(0, np.uint8)

    def close(self) -> None:
        self.numbers.close()

    def encoder(self, kind: GgmlType) -> Encoder:
        if kind not in self._encoders:
            self._encoders[kind] = Encoder(kind)
        return self._encoders[kind]

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """With whatever it holds; the next call may give the same memory."""
        size_bytes = prod(shape) * dtype.itemsize
        if size_bytes > self._room.size:
            self._room = np.empty(size_bytes, np.uint8)
        return self._room[:size_bytes].view(dtype).reshape(shape)
