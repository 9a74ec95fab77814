"""Facts about this device: processor, cores to use, memory and every limit on it.

Linux from /proc and /sys; macOS from sysctl, its memory and that of Windows from psutil.
What cannot be found out is None, never a guess.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cgroup import MemoryLimit, cgroup_cpu_quota, cgroup_memory_limits

# The instruction sets that llama.cpp has kernels for, under the names used here
# whatever the kernel or macOS calls them.
NOTABLE_FEATURES = (
    *("ssse3", "sse4_2", "avx", "avx2", "fma", "f16c", "bmi2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512vbmi", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "fp16", "dotprod", "i8mm", "bf16", "sve", "sve2", "sme"),
)
_OTHER_NAMES = {"asimd": "neon", "asimdhp": "fp16", "asimddp": "dotprod", "avx1.0": "avx", "sse4.2": "sse4_2"}
_IDENTITY_KEYS = (  # lines of /proc/cpuinfo that tell one processor from another
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
_LINUX = ("Linux", "Android")  # Python 3.13 tells them apart
_MACOS = "Darwin"
_NO_PSUTIL = "psutil is not installed, which knows how much memory there is: pip install psutil"


@dataclass(frozen=True)
class Cpu:
    model: str | None
    architecture: str  # "x86_64", "aarch64", "arm64" on macOS
    physical_cores: int | None  # in the machine, allowed to us or not
    logical_cores: int | None
    features: frozenset[str]  # empty: unknown
    fingerprint: str  # changes when anything changes that compiled code may depend on

    @property
    def notable_features(self) -> tuple[str, ...]:
        return tuple(name for name in NOTABLE_FEATURES if name in self.features)


@dataclass(frozen=True)
class DeviceMemory:
    total_bytes: int | None
    available_bytes: int | None  # the kernel's own estimate of what can be had without swapping
    swap_total_bytes: int | None
    swap_free_bytes: int | None
    limits: tuple[MemoryLimit, ...] = ()  # control groups, RLIMIT_AS and RLIMIT_DATA
    unknown_because: str = ""  # why nothing is known, for people

    @property
    def usable_bytes(self) -> int | None:
        """What may still be taken: the least of what is available and what each limit leaves."""
        return min(_known((self.available_bytes, *(limit.free_bytes for limit in self.limits))), default=None)


@dataclass(frozen=True)
class Device:
    system: str  # "Linux", "Darwin", "Windows"
    cpu: Cpu
    memory: DeviceMemory
    default_threads: int


def read_device(root: Path = Path("/")) -> Device:
    return Device(platform.system(), read_cpu(root), read_memory(root), default_threads(root))


def cpu_fingerprint(root: Path = Path("/")) -> str:
    """A name for this processor that may serve as a key: crashes of native code are remembered by it."""
    return read_cpu(root).fingerprint


def read_cpu(root: Path = Path("/"), *, system: str | None = None) -> Cpu:
    system = system or platform.system()
    if system in _LINUX:
        return _linux_cpu(root)
    if system == _MACOS:
        return macos_cpu(_run("/usr/sbin/sysctl", "hw", "machdep.cpu"))
    model = platform.processor() or None
    return _cpu(model, None, os.cpu_count(), frozenset(), (model or "",))


def read_memory(root: Path = Path("/"), *, system: str | None = None) -> DeviceMemory:
    system = system or platform.system()
    if system in _LINUX:
        return _linux_memory(root)
    return _psutil_memory()


def default_threads(root: Path = Path("/"), *, system: str | None = None) -> int:
    """Physical cores that this process may use, at least 1.

    Two threads on one core gain nothing in matrix code, and a group's time quota is
    rounded down: beyond it the kernel stops threads that others wait for. On macOS the
    fast cores only.
    """
    system = system or platform.system()
    if system in _LINUX:
        cores = len(_core_groups(root, _allowed_cpus(root)))
        return max(1, int(min(_known((cores, cgroup_cpu_quota(root))))))
    if system == _MACOS:
        found = _columns(_run("/usr/sbin/sysctl", "hw"))
        return _int(found.get("hw.perflevel0.physicalcpu")) or _int(found.get("hw.physicalcpu")) or 1
    return max(1, (os.cpu_count() or 1) // 2)  # our assumption: two threads a core


# --- Linux ---------------------------------------------------------------------------


def _linux_cpu(root: Path) -> Cpu:
    text = _read(root / "proc/cpuinfo")
    found = _columns(text)
    words = (found.get("flags") or found.get("Features") or "").split()
    identity = sorted(
        {line for line in text.splitlines() if line.partition(":")[0].strip() in _IDENTITY_KEYS}
    )
    online = _cpu_list(_read(root / "sys/devices/system/cpu/online"))
    logical_cores = len(online) or len(re.findall(r"^processor\s*:", text, re.M)) or None
    physical_cores = len(_core_groups(root, online)) or None
    return _cpu(_linux_model(root, found), physical_cores, logical_cores, words, sorted(identity))


def _linux_model(root: Path, cpuinfo: Mapping[str, str]) -> str | None:
    """x86 names its processor; ARM boards name themselves, or only give part numbers."""
    board = _read(root / "proc/device-tree/model").strip("\0 \n")
    part = cpuinfo.get("CPU part")
    numbers = f"ARM implementer {cpuinfo.get('CPU implementer')} part {part}" if part else None
    return cpuinfo.get("model name") or board or cpuinfo.get("Model") or cpuinfo.get("Hardware") or numbers


def _allowed_cpus(root: Path) -> list[int]:
    """Online and within this process's affinity (which cpusets narrow as well)."""
    status = _columns(_read(root / "proc/self/status"))
    allowed = _cpu_list(status.get("Cpus_allowed_list", ""))
    online = _cpu_list(_read(root / "sys/devices/system/cpu/online"))
    return sorted(set(allowed) & set(online)) if allowed and online else allowed or online or [0]


def _core_groups(root: Path, cpus: Iterable[int]) -> set[str]:
    """One entry a physical core: the list of its hardware threads."""
    folder = root / "sys/devices/system/cpu"
    return {_read(folder / f"cpu{cpu}/topology/thread_siblings_list").strip() or str(cpu) for cpu in cpus}


def _cpu_list(text: str) -> list[int]:
    """'0-2,7' -> [0, 1, 2, 7]"""
    cpus: list[int] = []
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def _linux_memory(root: Path) -> DeviceMemory:
    found = _columns(_read(root / "proc/meminfo"))
    total, available, swap, swap_free = (
        _kib(found.get(name)) for name in ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
    )
    limits = cgroup_memory_limits(root) + _process_limits(root)
    return DeviceMemory(total, available, swap, swap_free, limits)


def _process_limits(root: Path) -> tuple[MemoryLimit, ...]:
    """RLIMIT_AS and RLIMIT_DATA. Both count what is mapped or allocated, touched or not."""
    status = _columns(_read(root / "proc/self/status"))
    limits = []
    for line in _read(root / "proc/self/limits").splitlines():
        for label, name, used in (
            ("Max address space", "RLIMIT_AS", "VmSize"),
            ("Max data size", "RLIMIT_DATA", "VmData"),
        ):
            soft = line.removeprefix(label).split()[:1]
            if line.startswith(label) and soft and soft[0].isdigit():
                limits.append(MemoryLimit(name, int(soft[0]), _kib(status.get(used))))
    return tuple(limits)


# --- macOS ---------------------------------------------------------------------------


def macos_cpu(sysctl: str) -> Cpu:
    """From the output of `sysctl hw machdep.cpu`."""
    found = _columns(sysctl)
    arm = [
        name.rpartition("FEAT_")[2]
        for name, value in found.items()
        if name.startswith("hw.optional.arm.FEAT_") and value == "1"
    ]
    intel = [found.get(f"machdep.cpu.{name}", "") for name in ("features", "leaf7_features")]
    words = [*arm, *(["neon"] if arm else []), *" ".join(intel).split()]
    model = found.get("machdep.cpu.brand_string")
    cores = (_int(found.get("hw.physicalcpu")), _int(found.get("hw.logicalcpu")))
    return _cpu(model, *cores, words, (model or "", *sorted(words)))


# --- Windows and macOS ---------------------------------------------------------------


def _psutil_memory() -> DeviceMemory:
    """As psutil has it; nothing is known without it, and the device says why."""
    try:
        import psutil
    except ImportError:
        return DeviceMemory(None, None, None, None, unknown_because=_NO_PSUTIL)
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return DeviceMemory(memory.total, memory.available, swap.total, swap.free)


# --- shared --------------------------------------------------------------------------


def _cpu(
    model: str | None,
    physical_cores: int | None,
    logical_cores: int | None,
    feature_words: Iterable[str],
    identity: Iterable[str],
) -> Cpu:
    features = frozenset(_OTHER_NAMES.get(word.lower(), word.lower()) for word in feature_words)
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:12]
    architecture = platform.machine()
    fingerprint = f"{architecture} {model or 'unknown'} {digest}"
    return Cpu(model, architecture, physical_cores, logical_cores, features, fingerprint)


def _columns(text: str) -> dict[str, str]:
    """'name : value' lines as a dict; of repeated names the first counts."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    found: dict[str, str] = {}
    for name, _, value in pairs:
        found.setdefault(name.strip(), value.strip())
    return found


def _kib(text: str | None) -> int | None:
    kib = _int(text.split()[0]) if text else None
    return None if kib is None else kib * 1024


def _int(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _known(values: Iterable[int | float | None]) -> list[int]:
    return [value for value in values if value is not None]  # type: ignore[misc]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _run(*command: str) -> str:
    try:
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
