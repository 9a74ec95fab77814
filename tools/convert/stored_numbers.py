"""Numbers of a checkpoint's tensors, as many at a time as the caller has room for.

Files are read, never mapped: a disk that fails under a mapping ends the process, and so does a
file that shrinks.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConversionError
from ..tensor_data import fill_from
from .safetensors_file import StoredTensor
from .source_error import bad_tensor, damaged

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
    """Keeps the file that was read last open. Use it in a `with` block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._path: Path | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> StoredNumbers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read_into(self, numbers: NDArray[Any], tensor: StoredTensor, start: int) -> None:
        """Fill `numbers`, contiguous and of stored_dtype(tensor), from number `start` of the tensor on.

        Raises ConversionError where the file cannot be read or has become too short.
        """
        try:
            file = self._opened(tensor.path)
            file.seek(tensor.offset_bytes + start * numbers.itemsize)
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


def _unreadable(tensor: StoredTensor, error: OSError) -> ConversionError:
    return damaged(
        tensor.path,
        f"cannot be read at tensor {tensor.name[:120]!r}: {error.strerror}",
        hint="check the disk, and the file's owner and mode; then fetch the file again",
        tensor=tensor.name[:200],
    )
