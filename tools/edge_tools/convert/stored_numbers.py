"""Numbers of a checkpoint's tensors, read in pieces that fit the caller's memory.

Files are read, never mapped: a disk that fails under a mapping ends the process, and so does a
file that shrinks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ConversionError

from ..tensor_data import fill_from
from .source.safetensors_file import StoredTensor
from .source.source_error import bad_tensor, damaged

_AHEAD_BYTES = 32 << 20  # what the system is asked to have read when we come to it
_FIRST_BYTES = 256 << 20
_STEP_BYTES = 256 << 10  # Linux reads no more than this of one such wish, on some disks

# How a stored number is held until it is converted; BF16 is the upper half of an F32.
_DTYPES: dict[str, np.dtype[Any]] = {
    "BF16": np.dtype("<u2"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}


def stored_dtype(tensor: StoredTensor) -> np.dtype[Any]:
    """Raises ConversionError for a type that cannot be converted."""
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise bad_tensor(
            tensor.path,
            tensor.name,
            f"is {tensor.dtype}; {', '.join(_DTYPES)} can be converted",
            hint="take the checkpoint before it was quantized",
        )
    return dtype


class StoredNumbers:
    """Keeps the file that was read last open, until close(). For one thread at a time."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._path: Path | None = None
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        self._stack.close()

    def read_into(self, numbers: NDArray[Any], tensor: StoredTensor, start: int) -> None:
        """Fill `numbers`, contiguous and of stored_dtype(tensor), from number `start` of the tensor on.

        Raises ConversionError where the file cannot be read or has become too short.
        """
        try:
            file = self._opened(tensor.path)
            offset_bytes = tensor.offset_bytes + start * numbers.itemsize
            ask_for(file, offset_bytes + _AHEAD_BYTES, numbers.nbytes)
            file.seek(offset_bytes)
            if fill_from(file, numbers.data.cast("B")):
                return
        except OSError as error:
            raise _unreadable(tensor, error) from error
        raise bad_tensor(tensor.path, tensor.name, "is cut off: the file became shorter while it was read")

    def _opened(self, path: Path) -> IO[bytes]:
        if self._file is None or self._path != path:
            self._stack.close()
            self._file = self._stack.enter_context(path.open("rb", buffering=0))
            self._path = path
        return self._file


def ask_for_first(tensors: Iterable[StoredTensor]) -> None:
    """Let the system read the first of them, in this order, while their file's header is made."""
    left_bytes = _FIRST_BYTES
    for tensor in tensors:
        if left_bytes <= 0:
            return
        with suppress(OSError), tensor.path.open("rb", buffering=0) as file:  # reading it will say why
            ask_for(file, tensor.offset_bytes, min(tensor.size_bytes, left_bytes))
        left_bytes -= tensor.size_bytes


def ask_for(file: IO[bytes], start_bytes: int, size_bytes: int) -> None:
    """Let the system read this, where it can, while something else is done; not the odd end of it."""
    if hasattr(os, "posix_fadvise"):
        for at in range(start_bytes, start_bytes + size_bytes - _STEP_BYTES + 1, _STEP_BYTES):
            os.posix_fadvise(file.fileno(), at, _STEP_BYTES, os.POSIX_FADV_WILLNEED)


def _unreadable(tensor: StoredTensor, error: OSError) -> ConversionError:
    return damaged(
        tensor.path,
        f"cannot be read at tensor {tensor.name[:120]!r}: {error.strerror}",
        hint="check the disk, and the file's owner and mode; then fetch the file again",
        tensor=tensor.name[:200],
    )
