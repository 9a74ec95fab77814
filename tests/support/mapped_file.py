"""A real file in a real memory map, as llama.cpp makes one; and what of it is in memory."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE_BYTES = mmap.PAGESIZE
_READ, _SHARED = 1, 1  # PROT_READ, MAP_SHARED

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs madvise, mincore and /proc"
)


def write_random(path: Path, size_bytes: int) -> bytes:
    """On the device, and not in the page cache any more."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", path.parent], capture_output=True, text=True, check=True)
    if kind.stdout.strip() == "tmpfs":
        pytest.skip(f"{path.parent} is in memory: nothing of a file there can be dropped")
    content = random.Random(size_bytes).randbytes(size_bytes)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return content


class MappedFile:
    def __init__(self, path: Path) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)
        self._c.mmap.restype = ctypes.c_void_p
        self._c.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
        self._c.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        self._c.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
        self.size_bytes = path.stat().st_size
        self._kept = [(0, self.size_bytes)]
        descriptor = os.open(path, os.O_RDONLY)
        self.address: int = self._c.mmap(None, self.size_bytes, _READ, _SHARED, descriptor, 0)
        os.close(descriptor)
        assert self.address not in (None, 2**64 - 1)

    def read(self, start: int, end: int) -> bytes:
        """Touches these bytes."""
        return ctypes.string_at(self.address + start, end - start)

    def touch_all(self, start: int, end: int) -> None:
        for offset in range(start, end, PAGE_BYTES):
            ctypes.c_ubyte.from_address(self.address + offset).value  # noqa: B018

    def resident_bytes(self, start: int = 0, end: int | None = None) -> int:
        """In the page cache, mapped or not. `start` at the beginning of a page."""
        length = (self.size_bytes if end is None else end) - start
        pages = ctypes.create_string_buffer(-(-length // PAGE_BYTES))
        assert self._c.mincore(self.address + start, length, pages) == 0
        return sum(value & 1 for value in pages.raw) * PAGE_BYTES

    def unmap_hole(self, start: int, end: int) -> None:
        assert self._c.munmap(self.address + start, end - start) == 0
        self._kept = [(0, start), (end, self.size_bytes)]

    def close(self) -> None:
        for start, end in self._kept:
            self._c.munmap(self.address + start, end - start)


@contextmanager
def mapped(path: Path) -> Iterator[MappedFile]:
    opened = MappedFile(path)
    try:
        yield opened
    finally:
        opened.close()
