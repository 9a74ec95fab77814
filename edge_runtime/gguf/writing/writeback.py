"""Early writeback: a large file goes to the disk while it is still being made."""

from __future__ import annotations

import os
from typing import BinaryIO

_STEP_BYTES = 64 << 20


class Writeback:
    """Left alone, a system keeps gigabytes in memory, and the disk rests until the end waits for it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begun = file.tell()
        self._waiting_bytes = 0

    def add(self, written_bytes: int) -> None:
        """So much more has been written to the file."""
        self._waiting_bytes += written_bytes
        if self._waiting_bytes >= _STEP_BYTES and hasattr(os, "posix_fadvise"):
            end = self._file.tell()
            self._file.flush()
            # Dirty pages are not dropped but handed to the disk, without waiting for it.
            os.posix_fadvise(self._file.fileno(), self._begun, end - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun, self._waiting_bytes = end, 0
