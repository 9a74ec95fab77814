"""A memory control group with a hard limit and no swap, and what it counted.

Version 1 and 2 of control groups. A page belongs to the group that touched it first, so
a cold page cache is part of the measurement: see drop_cache.py.

Source: Linux Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.device.cgroup import _group_folders, _read_columns, _read_int, cgroup_memory_limits
from edge_runtime.values.units import format_bytes

# Enter first, then become the command: nothing that it imports is charged elsewhere.
_ENTER = 'echo $$ > "$1" && shift && exec "$@"'
_REMOVE_WITHIN_S = 10.0


class GroupRefused(Exception):
    """This process may not make a memory group here; the text says why."""


@dataclass(frozen=True)
class GroupUsage:
    """What the group was charged. None: this kernel does not say."""

    peak_bytes: int | None
    oom_kills: int
    major_faults: int
    refaulted_file_pages: int | None  # read again after having been evicted
    anonymous_bytes: int  # now
    file_bytes: int  # now; page cache that the group touched first


@dataclass(frozen=True)
class Group:
    folder: Path
    version: int  # 1 or 2

    def command(self, command: Sequence[str]) -> list[str]:
        """`command`, started inside the group."""
        return ["sh", "-c", _ENTER, "enter", str(self.folder / "cgroup.procs"), *command]

    def usage(self) -> GroupUsage:
        """Readable while the group exists, also after its processes have ended."""
        return _usage_v1(self.folder) if self.version == 1 else _usage_v2(self.folder)


@contextmanager
def limited_group(limit_bytes: int | None, *, root: Path = Path("/")) -> Iterator[Group]:
    """A new group that may hold `limit_bytes` (None: no limit of its own) and no swap.

    At the end it is removed, with everything that still runs in it.
    Raises GroupRefused.
    """
    _require_room_above(limit_bytes, root)
    group = _make_group(root)
    try:
        _set_limit(group, limit_bytes)
        yield group
    finally:
        _remove(group)


def why_refused() -> str:
    """Why this process may not make limited groups here; empty when it may."""
    try:
        with limited_group(1 << 26):
            return ""
    except GroupRefused as refused:
        return str(refused)


def _require_room_above(limit_bytes: int | None, root: Path) -> None:
    if limit_bytes is None:
        return
    for outer in cgroup_memory_limits(root):
        if outer.limit_bytes < limit_bytes:
            raise GroupRefused(f"{outer.source} already allows only {format_bytes(outer.limit_bytes)}")


def _make_group(root: Path) -> Group:
    """Below this process's own group, or the nearest one above that can have children with limits."""
    refusals = []
    for parent in _group_folders(root, "memory"):
        version = _version_of_children(parent)
        if not version:
            continue
        group = Group(parent / f"edge-runtime-bench-{os.getpid()}-{time.monotonic_ns()}", version)
        try:
            group.folder.mkdir()
            subprocess.run(group.command(["true"]), check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            refusals.append(f"{parent}: {_reason(error)}")
            with suppress(OSError):
                group.folder.rmdir()
        else:
            return group
    raise GroupRefused("; ".join(refusals) or "no memory control group is mounted for this process")


def _version_of_children(parent: Path) -> int:
    """1, 2, or 0 when groups below `parent` would have no memory limits."""
    if (parent / "memory.limit_in_bytes").exists():
        return 1
    try:
        controllers = (parent / "cgroup.subtree_control").read_text().split()
    except OSError:
        return 0
    return 2 if "memory" in controllers else 0


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = bytes(error.stderr).decode(errors="replace").split("\n")
    return lines[0] or "cannot be entered"


def _set_limit(group: Group, limit_bytes: int | None) -> None:
    folder, limit = group.folder, "" if limit_bytes is None else str(limit_bytes)
    try:
        if group.version == 1:
            (folder / "memory.swappiness").write_text("0")
            for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
                if limit and (folder / name).exists():  # memsw: only where swap is counted
                    (folder / name).write_text(limit)
            return
        (folder / "memory.max").write_text(limit or "max")
        if (folder / "memory.swap.max").exists():
            (folder / "memory.swap.max").write_text("0")
    except OSError as error:
        raise GroupRefused(f"{folder}: the limit cannot be set: {error.strerror}") from error


def _usage_v1(folder: Path) -> GroupUsage:
    stat = _read_columns(folder / "memory.stat")
    return GroupUsage(
        peak_bytes=_read_int(folder / "memory.max_usage_in_bytes"),
        oom_kills=_read_columns(folder / "memory.oom_control").get("oom_kill", 0),
        major_faults=stat.get("total_pgmajfault", 0),
        refaulted_file_pages=stat.get("total_workingset_refault_file"),
        anonymous_bytes=stat.get("total_rss", 0),
        file_bytes=stat.get("total_cache", 0),
    )


def _usage_v2(folder: Path) -> GroupUsage:
    stat = _read_columns(folder / "memory.stat")
    return GroupUsage(
        peak_bytes=_read_int(folder / "memory.peak"),  # since Linux 5.19
        oom_kills=_read_columns(folder / "memory.events").get("oom_kill", 0),
        major_faults=stat.get("pgmajfault", 0),
        refaulted_file_pages=stat.get("workingset_refault_file"),
        anonymous_bytes=stat.get("anon", 0),
        file_bytes=stat.get("file", 0),
    )


def _remove(group: Group) -> None:
    """A group can be removed once its last process is gone, which takes the kernel a moment."""
    deadline_s = time.monotonic() + _REMOVE_WITHIN_S
    while True:
        _kill_all(group.folder)
        try:
            group.folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


def _kill_all(folder: Path) -> None:
    try:
        pids = [int(word) for word in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
