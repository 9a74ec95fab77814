"""Advice to the system about mapped pages: keep, read ahead, release.

Linux and Android have every call used here (MADV_PAGEOUT since 5.4, MADV_POPULATE_READ
since 5.14); where one is missing, what() says so and the call does nothing. Addresses are
page-aligned inwards: a page that two tensors share is left alone.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...device.process_memory import mapped_bytes

PAGE_BYTES = mmap.PAGESIZE
# Source: Linux include/uapi/asm-generic/mman-common.h; the first three are POSIX's as well.
_NORMAL, _RANDOM, _WILLNEED, _DONTNEED, _HUGEPAGE, _PAGEOUT, _POPULATE_READ = 0, 1, 3, 4, 14, 21, 22

# An entry for each page of the address space, little-endian; bit 63: present. See proc_pid_pagemap(5).
_PAGEMAP = Path("/proc/self/pagemap")
_ENTRY_BYTES, _PRESENT_BYTE, _PRESENT = 8, 7, 0x80


@dataclass(frozen=True)
class Pages:
    """A piece of a mapped file: where it is in memory and in the file. Whole pages only."""

    address: int
    length_bytes: int
    file_index: int
    file_offset: int

    def parts(self, size_bytes: int) -> list[Pages]:
        """Cut into consecutive pieces of at most size_bytes."""
        step = max(size_bytes // PAGE_BYTES, 1) * PAGE_BYTES
        return [
            Pages(
                self.address + start,
                min(step, self.length_bytes - start),
                self.file_index,
                self.file_offset + start,
            )
            for start in range(0, self.length_bytes, step)
        ]


def pages_can_be_released() -> bool:
    """Whether this system lets go of clean mapped pages when told to."""
    return sys.platform.startswith(("linux", "android"))


def expect_random_access(pages: Pages) -> None:
    """A touch reads one page, not the neighbourhood."""
    _madvise(pages, _RANDOM)


def expect_blocks(pages: Pages) -> bool:
    """A touch reads the one block that it falls into. False: the system cannot; read ahead instead.

    Huge pages of 2 MiB make it so (Linux mm/filemap.c, do_sync_mmap_readahead), also where
    the file system has none: then in small pages. On kernels with larger pages a huge one has
    32 MiB or more.
    """
    return PAGE_BYTES == 4096 and _madvise(pages, _HUGEPAGE) and _madvise(pages, _RANDOM)


def expect_any_access(pages: Pages) -> None:
    _madvise(pages, _NORMAL)


def release(pages: Pages) -> None:
    """Drop the pages from memory and, where nobody else maps them, from the page cache.

    Reads of them stay right: they come back from the file.
    """
    if not _madvise(pages, _PAGEOUT):
        _madvise(pages, _DONTNEED)


def unmap(pages: Pages) -> None:
    """Give the pages back to the page cache. Nothing may have been written to them."""
    _madvise(pages, _DONTNEED)


def unmap_and_forget(pages: Pages, descriptor: int) -> None:
    """As release(), a third cheaper for whole megabytes that were read in a moment ago."""
    _madvise(pages, _DONTNEED)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, pages.file_offset, pages.length_bytes, os.POSIX_FADV_DONTNEED)


def read_in(pages: Pages, *, exactly: bool = False) -> None:
    """Come back when the pages are in memory and mapped. Other threads run meanwhile.

    exactly: not what the system would read ahead around them (up to 8 MiB a touch). In
    blocks that comes by itself, at 2.5 ms of processor time per 100 MB; here it costs 35
    (Linux 6.18, ext4).
    """
    if exactly:
        _madvise(pages, _RANDOM)
        _madvise(pages, _WILLNEED)
    if not _madvise(pages, _POPULATE_READ):
        _madvise(pages, _WILLNEED)


def any_mapped(pages: Pages) -> bool:
    """Whether this process has touched any of them since they were let go. Not the page cache's view."""
    try:
        with _PAGEMAP.open("rb", buffering=0) as file:
            entries = os.pread(file.fileno(), _entry_offset(pages.length_bytes), _entry_offset(pages.address))
    except OSError:  # closed to apps on some systems
        return bool(mapped_bytes(pages.address, pages.address + pages.length_bytes))
    return max(entries[_PRESENT_BYTE::_ENTRY_BYTES], default=0) >= _PRESENT


def _entry_offset(address: int) -> int:
    return address // PAGE_BYTES * _ENTRY_BYTES


def lock(pages: Pages) -> bool:
    """Keep the pages in memory whatever others want. False when the system refuses (RLIMIT_MEMLOCK)."""
    c = _c_library()
    return c is not None and c.mlock(pages.address, pages.length_bytes) == 0


def unlock(pages: Pages) -> None:
    c = _c_library()
    if c is not None:
        c.munlock(pages.address, pages.length_bytes)


def _madvise(pages: Pages, advice: int) -> bool:
    c = _c_library()
    if c is None or pages.length_bytes == 0:
        return False
    return bool(c.madvise(pages.address, pages.length_bytes, advice) == 0)


@lru_cache(maxsize=1)
def _c_library() -> Any:
    """None where these calls do not exist, or mean something else."""
    if not pages_can_be_released():
        return None
    c = ctypes.CDLL(None, use_errno=True)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    c.madvise.argtypes = (pointer, size, ctypes.c_int)
    c.mlock.argtypes = c.munlock.argtypes = (pointer, size)
    return c
