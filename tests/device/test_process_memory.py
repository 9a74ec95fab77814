from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_runtime.device.process_memory import PeakSampler, ProcessMemory, process_memory

ROLLUP = """\
56113f039000-7ffdbf451000 ---p 00000000 00:00 0                          [rollup]
Rss:                 900 kB
Pss:                 600 kB
Pss_Anon:            300 kB
Pss_File:            250 kB
Pss_Shmem:            50 kB
SwapPss:               8 kB
Locked:               16 kB
"""
STATUS = """\
Name:\tpython
VmLck:\t      16 kB
VmRSS:\t     900 kB
RssAnon:\t     400 kB
RssFile:\t     450 kB
RssShmem:\t      50 kB
Threads:\t1
"""
linux_only = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def proc_with(tmp_path: Path, name: str, files: dict[str, str]) -> Path:
    (tmp_path / name).mkdir()
    for file, text in files.items():
        (tmp_path / name / file).write_text(text)
    return tmp_path


def test_shared_pages_count_in_part_where_the_kernel_says_so(tmp_path: Path) -> None:
    proc = proc_with(tmp_path, "self", {"smaps_rollup": ROLLUP, "status": STATUS})
    expected = ProcessMemory(*(kib * 1024 for kib in (600, 300, 250, 50, 16, 8)))
    assert process_memory(proc=proc) == expected


@pytest.mark.parametrize("rollup", [None, "Rss: 900 kB\nPss: 600 kB\n"], ids=["absent", "older than 5.3"])
def test_status_serves_where_smaps_rollup_does_not(tmp_path: Path, rollup: str | None) -> None:
    files = {"status": STATUS} | ({"smaps_rollup": rollup} if rollup else {})
    expected = ProcessMemory(*(kib * 1024 for kib in (900, 400, 450, 50, 16, 0)))
    assert process_memory(42, proc=proc_with(tmp_path, "42", files)) == expected


def test_without_proc_only_the_resident_size_is_known(tmp_path: Path) -> None:
    memory = process_memory(proc=tmp_path)
    assert memory.resident_bytes > 2**20
    assert (memory.anonymous_bytes, memory.file_bytes) == (None, None)


def test_unknown_process_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError, match="process 42"):
        process_memory(42, proc=tmp_path)


@linux_only
def test_anonymous_and_file_pages_land_in_their_own_column(tmp_path: Path) -> None:
    size_bytes = 32 * 2**20
    path = tmp_path / "weights"
    path.write_bytes(b"\1" * size_bytes)
    before = process_memory()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapping:
        sum(mapping[:: mmap.PAGESIZE])
        mapped = process_memory()
        # Not a bytearray: the heap may have 32 MiB that an earlier test has freed.
        held = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for offset in range(0, size_bytes, mmap.PAGESIZE):
            held[offset] = 1
        both = process_memory()
    slack_bytes = 8 * 2**20
    assert before.file_bytes is not None and mapped.file_bytes is not None
    assert mapped.anonymous_bytes is not None and both.anonymous_bytes is not None
    assert abs(mapped.file_bytes - before.file_bytes - size_bytes) < slack_bytes
    assert abs(both.anonymous_bytes - mapped.anonymous_bytes - len(held)) < slack_bytes


@linux_only
def test_peak_outlives_the_memory_that_made_it() -> None:
    size_bytes = 64 * 2**20
    before = process_memory()
    with PeakSampler(interval_s=0.005) as peak:
        held = bytearray(b"\1") * size_bytes
        time.sleep(0.05)
        del held
        time.sleep(0.02)
    after = process_memory()
    assert peak.peak_anonymous_bytes is not None and before.anonymous_bytes is not None
    assert after.anonymous_bytes is not None
    assert peak.peak_anonymous_bytes > before.anonymous_bytes + size_bytes * 0.9
    assert (
        after.anonymous_bytes < before.anonymous_bytes + size_bytes * 0.5
    )  # so the peak is not the last value


@linux_only
def test_sampler_watches_another_process_and_survives_its_end() -> None:
    code = "held = bytearray(b'1') * 2**26; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with PeakSampler(child.pid, interval_s=0.005) as peak:
            child.communicate("\n")
    assert peak.peak_anonymous_bytes is not None
    assert peak.peak_anonymous_bytes > 2**26


@linux_only
def test_sampler_closes_its_descriptor_and_thread() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RuntimeError), PeakSampler() as peak:
        raise RuntimeError
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert peak.peak_file_bytes


def test_sampler_without_proc_reports_none(tmp_path: Path) -> None:
    with PeakSampler(proc=tmp_path) as peak:
        pass
    assert (peak.peak_anonymous_bytes, peak.peak_file_bytes) == (None, None)


def test_other_systems_tell_the_resident_size_through_psutil(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr("edge_runtime.device.process_memory.sys", SimpleNamespace(platform="win32"))
    found = process_memory(proc=tmp_path)
    assert found.resident_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert found.anonymous_bytes is None and found.file_bytes is None
    assert process_memory(os.getppid(), proc=tmp_path).resident_bytes > 0
    with pytest.raises(ProcessLookupError):
        process_memory(2**22 + 1, proc=tmp_path)
