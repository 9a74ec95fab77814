"""Control group limits of this process: memory and processor time.

Reads version 1 and 2 side by side, as hybrid systems have both. A limit anywhere
between the process's own group and the top of the mount binds, so all are returned.

Source: Linux Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_UNLIMITED_BYTES = 1 << 62  # version 1 writes "no limit" as 2^63 rounded down to a page


@dataclass(frozen=True)
class MemoryLimit:
    source: str  # the file that sets it, or the name of the resource limit
    limit_bytes: int
    used_bytes: int | None  # for a group: without file pages, which the kernel can take back

    @property
    def free_bytes(self) -> int:
        return max(0, self.limit_bytes - (self.used_bytes or 0))


def cgroup_memory_limits(root: Path = Path("/")) -> tuple[MemoryLimit, ...]:
    """Every memory limit from this process's group up to the top, nearest first.

    memory.high counts as a limit: beyond it the kernel throttles the process.
    """
    found = [
        _memory_limit(folder, name)
        for folder in _group_folders(root, "memory")
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes")
    ]
    return tuple(limit for limit in found if limit is not None)


def cgroup_cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores' worth of time that the tightest group allows; None: no limit."""
    quotas = [_cpu_quota(folder) for folder in _group_folders(root, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def _memory_limit(folder: Path, name: str) -> MemoryLimit | None:
    limit_bytes = _read_int(folder / name)
    if limit_bytes is None or limit_bytes >= _UNLIMITED_BYTES:
        return None
    old = name == "memory.limit_in_bytes"
    used_bytes = _read_int(folder / ("memory.usage_in_bytes" if old else "memory.current"))
    if used_bytes is not None:
        prefix = "total_" if old else ""
        stat = _read_columns(folder / "memory.stat")
        cached_bytes = sum(stat.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
        used_bytes = max(0, used_bytes - cached_bytes)
    return MemoryLimit(str(folder / name), limit_bytes, used_bytes)


def _cpu_quota(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split()  # "max 100000" or "150000 100000"
    if len(words) == 2 and words[0].isdigit():
        quota_us: int | None = int(words[0])
        period_us: int | None = int(words[1])
    else:
        quota_us = _read_int(folder / "cpu.cfs_quota_us")  # -1: no limit
        period_us = _read_int(folder / "cpu.cfs_period_us")
    if not quota_us or not period_us or quota_us < 0:
        return None
    return quota_us / period_us


def _group_folders(root: Path, controller: str) -> list[Path]:
    """This process's group for the controller and each group above it, nearest first."""
    groups = _own_groups(root)
    folders = []
    for name, mount_root, mount_point in _mounts(root):
        if name not in (controller, "") or name not in groups:
            continue
        top = root / mount_point.lstrip("/")
        inside = _inside_mount(groups[name], mount_root)
        folders += [top.joinpath(*inside[:depth]) for depth in range(len(inside), -1, -1)]
    return folders


def _own_groups(root: Path) -> dict[str, str]:
    """Controller -> path, from lines such as '4:cpu,cpuacct:/a/b'; '' is version 2."""
    groups = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts(root: Path) -> list[tuple[str, str, str]]:
    """(controller or '' for version 2, root of the mount, mount point), see proc_pid_mountinfo(5)."""
    mounts = []
    for line in _read(root / "proc/self/mountinfo").splitlines():
        mount, _, filesystem = line.partition(" - ")
        fields, kind, options = mount.split(), filesystem.split()[:1], filesystem.split()[-1:]
        if kind not in (["cgroup"], ["cgroup2"]) or len(fields) < 5:
            continue
        names = [""] if kind == ["cgroup2"] else options[0].split(",")
        mounts += [(name, _unescape(fields[3]), _unescape(fields[4])) for name in names]
    return mounts


def _inside_mount(group: str, mount_root: str) -> tuple[str, ...]:
    """The group's path below the mount. Empty when a container hides where it is."""
    try:
        inside = Path(group).relative_to(mount_root).parts
    except ValueError:
        return ()
    return () if ".." in inside else inside


def _unescape(path: str) -> str:
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _read_int(path: Path) -> int | None:
    """None also for 'max', which is version 2's word for no limit."""
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _read_columns(path: Path) -> dict[str, int]:
    words = (line.split() for line in _read(path).splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}
