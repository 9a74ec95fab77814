"""Memory of one process by kind, now and at its peak.

Anonymous memory (KV cache, buffers, repacked weights) must stay in RAM; file-backed
pages (a mapped model) can be dropped and read again. The two are never added up here.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_PROC = Path("/proc")
_STATUS_BYTES = 16384  # a status file has 1.5 KB; long CPU lists add a few


@dataclass(frozen=True)
class ProcessMemory:
    """Resident bytes. None: this system does not tell the kinds apart."""

    resident_bytes: int
    anonymous_bytes: int | None
    file_bytes: int | None
    shared_bytes: int | None  # tmpfs and anonymous shared memory: no file on disk behind it
    locked_bytes: int | None
    swapped_bytes: int | None


def process_memory(pid: int | None = None, *, proc: Path = _PROC) -> ProcessMemory:
    """What process `pid` (None: this one) holds now.

    On Linux from smaps_rollup, which charges a page that n processes share with 1/n
    to each, or from status where smaps_rollup is missing or closed to us. Elsewhere
    psutil knows resident_bytes alone; without it this process's peak stands in for them.

    Raises ProcessLookupError when there is no such process, or no way to look at it.
    """
    folder = proc / ("self" if pid is None else str(pid))
    for name, read in (("smaps_rollup", _from_rollup), ("status", _from_status)):
        try:
            return read((folder / name).read_text())
        except (OSError, KeyError):  # absent, not ours, or a kernel that lacks a column
            continue
    resident_bytes = _resident_bytes(pid)
    if resident_bytes is None and pid is not None:
        raise ProcessLookupError(f"process {pid}: its memory cannot be read")
    return ProcessMemory(resident_bytes or _peak_resident_bytes(), None, None, None, None, None)


def _resident_bytes(pid: int | None) -> int | None:
    """As psutil has it; None on Linux, without psutil, or for no such process."""
    if sys.platform == "linux":
        return None
    try:
        import psutil
    except ImportError:
        return None
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def _from_rollup(text: str) -> ProcessMemory:
    kib = _kib_columns(text)
    return ProcessMemory(
        resident_bytes=kib["Pss"] * 1024,
        anonymous_bytes=kib["Pss_Anon"] * 1024,  # Pss_*: since Linux 5.3
        file_bytes=kib["Pss_File"] * 1024,
        shared_bytes=kib["Pss_Shmem"] * 1024,
        locked_bytes=kib["Locked"] * 1024,
        swapped_bytes=kib["SwapPss"] * 1024,
    )


def _from_status(text: str) -> ProcessMemory:
    kib = _kib_columns(text)
    return ProcessMemory(
        resident_bytes=kib["VmRSS"] * 1024,
        anonymous_bytes=kib["RssAnon"] * 1024,  # Rss*: since Linux 4.5
        file_bytes=kib["RssFile"] * 1024,
        shared_bytes=kib["RssShmem"] * 1024,
        locked_bytes=kib["VmLck"] * 1024,
        swapped_bytes=kib.get("VmSwap", 0) * 1024,
    )


def _kib_columns(text: str) -> dict[str, int]:
    words = (line.split() for line in text.splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in words if len(line) == 3 and line[2] == "kB"}


def _peak_resident_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere


def resident_kinds(*, proc: Path = _PROC) -> tuple[int, int] | None:
    """Anonymous and file-backed resident bytes of this process now; None off Linux.

    As PeakSampler sees them, and as cheaply.
    """
    try:
        return _kinds((proc / "self" / "status").read_text())
    except (OSError, KeyError):
        return None


def _kinds(status: str) -> tuple[int, int]:
    """Shared memory without a file counts as anonymous."""
    kib = _kib_columns(status)
    return (kib["RssAnon"] + kib["RssShmem"]) * 1024, kib["RssFile"] * 1024


def mapped_bytes(start: int, end: int, *, proc: Path = _PROC) -> int | None:
    """Resident bytes of this process's maps between two addresses; None off Linux.

    Of a map that lies only partly there, at most as much as that part can hold: where its
    resident pages are, nobody says. Reads all of smaps: some milliseconds.
    """
    try:
        lines = (proc / "self" / "smaps").read_text().splitlines()
    except OSError:
        return None
    total_bytes = inside_bytes = 0
    for line in lines:
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            first, last = (int(text, 16) for text in words[0].split("-"))
            inside_bytes = max(min(last, end) - max(first, start), 0)
        elif words[0] == "Rss:":
            total_bytes += min(int(words[1]) * 1024, inside_bytes)
    return total_bytes


def device_read_bytes(io: Path = Path("/proc/self/io")) -> int | None:
    """What this process has had read from storage so far, page faults and read-ahead included."""
    try:
        text = io.read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("read_bytes")), None)


class PeakSampler:
    """Watches a process while a `with` block runs and keeps the highest values seen.

    Looks at /proc/PID/status through a descriptor that stays open: 7 us a look, at
    any size. smaps_rollup walks the page tables and took 4.6 ms for a mapped GiB
    (2-core Xeon, Linux 6.18), a tenth of a core at this pace. The price: pages that
    several processes share count in full here. A peak between two looks is missed.

    Off Linux both peaks stay None.
    """

    def __init__(self, pid: int | None = None, *, interval_s: float = 0.05, proc: Path = _PROC) -> None:
        self.peak_anonymous_bytes: int | None = None  # shared memory without a file counts here
        self.peak_file_bytes: int | None = None
        self._status = proc / ("self" if pid is None else str(pid)) / "status"
        self._interval_s = interval_s
        self._descriptor: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="edge-runtime-memory-peak", daemon=True)

    def __enter__(self) -> PeakSampler:
        try:
            self._descriptor = os.open(self._status, os.O_RDONLY)
        except OSError:  # not Linux, or the process is gone
            return self
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._descriptor is None:
            return
        self._thread.join()
        self._look()
        os.close(self._descriptor)
        self._descriptor = None

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            if not self._look():
                return

    def _look(self) -> bool:
        """Take one sample. False when the process has ended."""
        if self._descriptor is None:
            return False
        try:
            status = os.pread(self._descriptor, _STATUS_BYTES, 0).decode("ascii", "replace")
            anonymous_bytes, file_bytes = _kinds(status)
        except (OSError, KeyError):
            return False
        self.peak_anonymous_bytes = max(self.peak_anonymous_bytes or 0, anonymous_bytes)
        self.peak_file_bytes = max(self.peak_file_bytes or 0, file_bytes)
        return True


def trim_heap() -> None:
    """Give memory that was freed back to the system (GNU C library; others do it by themselves)."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
