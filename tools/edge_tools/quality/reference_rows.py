"""The reference's logits at every scored position, kept on disk: one model at a time in memory.

16 bits for each token of the vocabulary and each position: 25 MB for a chunk of 512 tokens with a
vocabulary of 49,152, 134 MB with one of 262,144. The file has no name where the system allows
it: it is gone when the process is, however it ends.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from edge_runtime.backends.backend import Float32Array
from edge_runtime.errors import OptionInvalid
from edge_runtime.values.files import storage_full, writing_to

from .rows import StoredRow

_BYTES_A_TOKEN = 2
_FULL = "fewer chunks= need less, or let XDG_CACHE_HOME name a folder on a larger disk"


def stored_bytes(vocabulary_size: int, positions: int) -> int:
    return _BYTES_A_TOKEN * vocabulary_size * positions


class ReferenceRows:
    """Written once, in order; read as often as there are candidates. Raises StorageFull and OptionInvalid."""

    def __init__(self, file: IO[bytes], folder: Path, vocabulary_size: int) -> None:
        self._file, self._folder, self._size = file, folder, vocabulary_size
        self._steps: list[np.float32] = []

    def add(self, row: Float32Array) -> None:
        stored = StoredRow.of(row)
        with _told(self._folder, stored.codes.nbytes):
            self._file.write(stored.codes.data)
        self._steps.append(stored.step)

    def read(self) -> Iterator[Float32Array]:
        """(vocabulary,) each, relative, in the order in which they came."""
        with _told(self._folder):
            self._file.seek(0)
        for step in self._steps:
            with _told(self._folder):
                codes = np.frombuffer(self._file.read(_BYTES_A_TOKEN * self._size), np.uint16)
            yield StoredRow(codes, step).row()


@contextmanager
def open_reference_rows(folder: Path, vocabulary_size: int, positions: int) -> Iterator[ReferenceRows]:
    """In a file in `folder`, for as long as the block runs. Raises StorageFull and OptionInvalid."""
    needed_bytes = stored_bytes(vocabulary_size, positions)
    with _told(folder, needed_bytes):
        folder.mkdir(parents=True, exist_ok=True)
        if needed_bytes > shutil.disk_usage(folder).free:
            raise storage_full(folder, needed_bytes, _FULL)
        file = tempfile.TemporaryFile(dir=folder, prefix="quality-", buffering=1 << 20)  # noqa: SIM115
    try:
        yield ReferenceRows(file, folder, vocabulary_size)
    finally:
        with suppress(OSError):  # what its buffer still held, on a full disk
            file.close()


def _told(folder: Path, needed_bytes: int = 0) -> AbstractContextManager[None]:
    """What the system says about the file, as an error of ours."""
    return writing_to(folder, lambda error: _unusable(folder, error), needed_bytes=needed_bytes, hint=_FULL)


def _unusable(folder: Path, error: OSError) -> OptionInvalid:
    return OptionInvalid(
        f"cannot keep what the reference says in {folder}: {error.strerror}",
        hint="let XDG_CACHE_HOME name a folder that you may write to",
        option="XDG_CACHE_HOME",
        value=str(folder),
    )
