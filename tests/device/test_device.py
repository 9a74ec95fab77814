"""Made-up /proc and /sys trees: what the files say must come back, and what they lack must be None."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_runtime.device import device
from edge_runtime.device.cgroup import cgroup_cpu_quota, cgroup_memory_limits
from edge_runtime.memory import safe_budget

LINUX = "Linux"
XEON = """\
processor\t: 0
model name\t: Example Xeon
flags\t\t: fpu sse4_2 avx avx2 fma amx_tile amx_int8
cpu MHz\t\t: {mhz}
"""
PI4 = """\
processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08
"""
MEMINFO = "MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable: 3000 kB\nSwapTotal: 500 kB\nSwapFree: 400 kB\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def four_threads_on_two_cores(allowed: str = "0-3") -> dict[str, str]:
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    return {
        "sys/devices/system/cpu/online": "0-3\n",
        "proc/self/status": f"Cpus_allowed_list:\t{allowed}\nVmSize:\t  50 kB\nVmData:\t  20 kB\n",
        **{topology.format(cpu): f"{cpu % 2},{cpu % 2 + 2}\n" for cpu in range(4)},
    }


def test_xeon_features_and_cores(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": XEON.format(mhz=2000), **four_threads_on_two_cores()})
    cpu = device.read_cpu(root, system=LINUX)
    assert (cpu.model, cpu.physical_cores, cpu.logical_cores) == ("Example Xeon", 2, 4)
    assert cpu.notable_features == ("sse4_2", "avx", "avx2", "fma", "amx_tile", "amx_int8")


def test_raspberry_pi_is_named_by_its_board_and_asimd_is_neon(tmp_path: Path) -> None:
    files = {"proc/cpuinfo": PI4, "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}
    cpu = device.read_cpu(write(tmp_path, files), system=LINUX)
    assert cpu.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert cpu.notable_features == ("neon",)


def test_fingerprint_changes_with_the_flags_but_not_with_the_clock(tmp_path: Path) -> None:
    texts = (XEON.format(mhz=2000), XEON.format(mhz=3000), XEON.format(mhz=2000).replace(" amx_int8", ""))
    same, clocked, without_amx = (
        device.cpu_fingerprint(write(tmp_path / str(number), {"proc/cpuinfo": text}))
        for number, text in enumerate(texts)
    )
    assert same == clocked != without_amx


def test_empty_tree_knows_nothing_and_does_not_fail(tmp_path: Path) -> None:
    cpu = device.read_cpu(tmp_path, system=LINUX)
    assert (cpu.model, cpu.physical_cores, cpu.logical_cores, cpu.features) == (None, None, None, frozenset())
    memory = device.read_memory(tmp_path, system=LINUX)
    assert memory == device.DeviceMemory(None, None, None, None, ())
    assert memory.usable_bytes is None
    assert device.default_threads(tmp_path, system=LINUX) == 1


def test_other_systems_have_at_least_a_thread() -> None:
    assert device.default_threads(system="Windows") >= 1


@pytest.mark.parametrize(
    ("allowed", "cpu_max", "threads"),
    [
        ("0-3", "max 100000", 2),  # two cores, not four threads
        ("0,2", "max 100000", 1),  # both threads of one core
        ("0-3", "150000 100000", 1),  # one and a half cores: rounded down
        ("0-3", "50000 100000", 1),  # never none
        ("1", "400000 100000", 1),
    ],
)
def test_default_threads_are_bounded_by_cores_affinity_and_quota(
    tmp_path: Path, allowed: str, cpu_max: str, threads: int
) -> None:
    files = {**four_threads_on_two_cores(allowed), **v2_group("/app", {"cpu.max": cpu_max})}
    assert device.default_threads(write(tmp_path, files), system=LINUX) == threads


def v2_group(group: str, files: dict[str, str]) -> dict[str, str]:
    return {
        "proc/self/cgroup": f"0::{group}\n",
        "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        **{f"sys/fs/cgroup{group}/{name}": text for name, text in files.items()},
    }


def test_v2_limits_of_every_level_nearest_first(tmp_path: Path) -> None:
    files = v2_group(
        "/user/app", {"memory.max": "max\n", "memory.high": "3000\n", "memory.current": "1000\n"}
    )
    files["sys/fs/cgroup/user/app/memory.stat"] = "anon 400\nactive_file 100\ninactive_file 500\n"
    files["sys/fs/cgroup/user/memory.max"] = "2000\n"
    limits = cgroup_memory_limits(write(tmp_path, files))
    assert [(limit.source, limit.limit_bytes, limit.used_bytes) for limit in limits] == [
        (f"{tmp_path}/sys/fs/cgroup/user/app/memory.high", 3000, 400),  # 1000 less 600 of file pages
        (f"{tmp_path}/sys/fs/cgroup/user/memory.max", 2000, None),
    ]
    assert [limit.free_bytes for limit in limits] == [2600, 2000]


def test_v1_limit_skips_the_number_that_means_none(tmp_path: Path) -> None:
    memory = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": "9:name=systemd:/\n4:memory:/jobs/one\n0::/\n",
        "proc/self/mountinfo": "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        f"{memory}/memory.limit_in_bytes": "9223372036854771712\n",
        f"{memory}/jobs/memory.limit_in_bytes": "5000\n",
        f"{memory}/jobs/one/memory.limit_in_bytes": "9000\n",
        f"{memory}/jobs/one/memory.usage_in_bytes": "8000\n",
        f"{memory}/jobs/one/memory.stat": "active_file 1\ntotal_inactive_file 7000\ntotal_active_file 500\n",
    }
    limits = cgroup_memory_limits(write(tmp_path, files))
    assert [(limit.limit_bytes, limit.used_bytes) for limit in limits] == [(9000, 500), (5000, None)]


def test_v1_cpu_quota(tmp_path: Path) -> None:
    cpu = "sys/fs/cgroup/cpu,cpuacct"
    files = {
        "proc/self/cgroup": "3:cpu,cpuacct:/a\n",
        "proc/self/mountinfo": f"33 31 0:30 / /{cpu} rw - cgroup cgroup rw,cpu,cpuacct\n",
        f"{cpu}/cpu.cfs_quota_us": "-1\n",
        f"{cpu}/cpu.cfs_period_us": "100000\n",
        f"{cpu}/a/cpu.cfs_quota_us": "250000\n",
        f"{cpu}/a/cpu.cfs_period_us": "100000\n",
    }
    assert cgroup_cpu_quota(write(tmp_path, files)) == 2.5


@pytest.mark.parametrize(
    ("group", "mount_root"),
    [
        ("/docker/abc", "/docker/abc"),  # the container sees the host's path, and only its own folder
        ("/../abc", "/"),  # a group outside the container's namespace
    ],
)
def test_container_finds_its_limit_at_the_mount(tmp_path: Path, group: str, mount_root: str) -> None:
    files = {
        "proc/self/cgroup": f"0::{group}\n",
        "proc/self/mountinfo": f"31 23 0:28 {mount_root} /mnt/c\\040g rw - cgroup2 cgroup2 rw\n",
        "mnt/c g/memory.max": "700\n",
    }
    assert [limit.limit_bytes for limit in cgroup_memory_limits(write(tmp_path, files))] == [700]


def test_usable_memory_is_the_least_of_all_limits(tmp_path: Path) -> None:
    limits = (
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max data size             unlimited            unlimited            bytes\n"
        "Max address space         1048576              unlimited            bytes\n"
    )
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/limits": limits,
        **four_threads_on_two_cores(),
        **v2_group("/app", {"memory.max": "2048000\n", "memory.current": "1024000\n"}),
    }
    memory = device.read_memory(write(tmp_path, files), system=LINUX)
    assert (memory.total_bytes, memory.available_bytes) == (4000 * 1024, 3000 * 1024)
    assert (memory.swap_total_bytes, memory.swap_free_bytes) == (500 * 1024, 400 * 1024)
    assert [limit.source for limit in memory.limits][1:] == ["RLIMIT_AS"]
    assert memory.usable_bytes == 1048576 - 50 * 1024  # the address space; the group leaves 1,024,000


def test_this_machine_can_be_read() -> None:
    found = device.read_device()
    assert found.default_threads >= 1
    assert found.memory.total_bytes is None or found.memory.total_bytes > 2**26


def test_macos_on_apple_silicon() -> None:
    sysctl = (
        "hw.physicalcpu: 8\nhw.logicalcpu: 8\nhw.optional.arm.FEAT_DotProd: 1\n"
        "hw.optional.arm.FEAT_I8MM: 0\nmachdep.cpu.brand_string: Apple M1\n"
    )
    cpu = device.macos_cpu(sysctl)
    assert (cpu.model, cpu.physical_cores, cpu.notable_features) == ("Apple M1", 8, ("neon", "dotprod"))


def test_macos_on_intel() -> None:
    sysctl = "machdep.cpu.features: FPU SSE4.2 AVX1.0 FMA\nmachdep.cpu.leaf7_features: BMI2 AVX2\n"
    assert device.macos_cpu(sysctl).notable_features == ("sse4_2", "avx", "avx2", "fma", "bmi2")


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_memory_of_other_systems_is_psutil_s(system: str) -> None:
    psutil = pytest.importorskip("psutil")
    memory = device.read_memory(system=system)
    assert memory.total_bytes == psutil.virtual_memory().total
    assert memory.available_bytes is not None and 0 < memory.available_bytes <= memory.total_bytes
    assert memory.swap_total_bytes == psutil.swap_memory().total
    assert memory.limits == () and memory.unknown_because == ""
    budget = safe_budget(memory, system)
    assert budget.size_bytes is not None and 0 < budget.size_bytes < memory.total_bytes


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_missing_psutil_is_said(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    budget = safe_budget(device.read_memory(system=system), system)
    assert budget.size_bytes is None
    assert budget.reason.endswith("pip install psutil")


def test_linux_needs_no_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert device.read_memory(system=LINUX).available_bytes
