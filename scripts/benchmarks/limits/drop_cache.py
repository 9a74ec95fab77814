"""Empties the page cache before a run, and checks that it worked.

A page that is cached already is charged to the group that read it, not to the one under
test: a warm cache would make a limit look roomier than it is. The same goes for the
libraries: where nothing else maps them, their 60 to 100 MB count against the limit, as
on a device that has just started. Libraries that another process maps (Python's own: the
benchmark itself runs in it) stay where they are and are not charged.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_PAGE_CACHE = "1\n"  # 2: names and inodes; 3: both
_MOST_CACHED = 0.01
_PROT_READ, _MAP_SHARED = 1, 1
_LOWEST_BIT = bytes(value & 1 for value in range(256))  # mincore's other bits mean nothing


@dataclass(frozen=True)
class CacheState:
    cached: float  # share of the file's pages that are in the page cache
    mapped_by: tuple[int, ...]  # processes that map the file, which keeps pages in

    @property
    def cold(self) -> bool:
        return self.cached < _MOST_CACHED

    @property
    def warning(self) -> str:
        """Empty when the file is cold."""
        if self.cold:
            return ""
        who = f"; mapped by process {', '.join(map(str, self.mapped_by))}" if self.mapped_by else ""
        return f"{self.cached:.1%} of the file was still cached at the start{who}"


def drop_cache(path: Path) -> CacheState:
    """Drop `path` from the page cache, and everything else too where that is allowed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # a page that waits to be written cannot be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        with suppress(OSError):
            _DROP_CACHES.write_text(_PAGE_CACHE)
        return CacheState(_cached_share(descriptor), mapped_by(path))
    finally:
        os.close(descriptor)


def cached_share(path: Path) -> float:
    """Part of the file that is in the page cache, 0.0 to 1.0."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _cached_share(descriptor)
    finally:
        os.close(descriptor)


def mapped_by(path: Path) -> tuple[int, ...]:
    """Processes that map the file, of those whose maps we may read."""
    name = str(path.resolve())
    pids = []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            if any(line.endswith(name) for line in maps.read_text(errors="replace").splitlines()):
                pids.append(int(maps.parent.name))
    return tuple(sorted(pids))


def _cached_share(descriptor: int) -> float:
    """From mincore() on a mapping that touches nothing. 0.0 for an empty file."""
    size_bytes = os.fstat(descriptor).st_size
    if not size_bytes:
        return 0.0
    c = _c_library()
    address = c.mmap(None, size_bytes, _PROT_READ, _MAP_SHARED, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    try:
        pages = -(-size_bytes // os.sysconf("SC_PAGESIZE"))
        states = (ctypes.c_ubyte * pages)()
        if c.mincore(address, size_bytes, states):
            raise OSError(ctypes.get_errno(), "mincore")
    finally:
        c.munmap(address, size_bytes)
    return bytes(states).translate(_LOWEST_BIT).count(1) / pages


def _c_library() -> ctypes.CDLL:
    c = ctypes.CDLL(None, use_errno=True)
    pointer, size, integer = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    c.mmap.argtypes = [pointer, size, integer, integer, integer, ctypes.c_int64]
    c.mmap.restype = pointer
    c.mincore.argtypes = [pointer, size, pointer]
    c.munmap.argtypes = [pointer, size]
    return c
