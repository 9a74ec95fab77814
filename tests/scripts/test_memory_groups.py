"""Groups that really kill, and caches that are really dropped."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.memory_groups import MB, holding, needs_groups

from scripts.benchmarks.limits import drop_cache as dropping
from scripts.benchmarks.limits.group import Group, GroupRefused, limited_group


@needs_groups
def test_process_beyond_the_limit_is_killed_and_counted() -> None:
    with limited_group(100 * MB) as group:
        done = subprocess.run(group.command(holding(200 * MB)), capture_output=True, check=False)
        usage = group.usage()
    assert done.returncode == -9
    assert usage.oom_kills == 1
    assert usage.peak_bytes is None or 90 * MB < usage.peak_bytes <= 100 * MB


@needs_groups
def test_process_within_the_limit_runs_and_its_peak_is_known() -> None:
    with limited_group(100 * MB) as group:
        done = subprocess.run(group.command(holding(50 * MB)), capture_output=True, text=True, check=False)
        usage = group.usage()
    assert (done.returncode, done.stdout) == (0, f"{50 * MB}\n")
    assert usage.oom_kills == 0
    assert usage.peak_bytes is None or 50 * MB < usage.peak_bytes < 100 * MB
    assert usage.anonymous_bytes < 5 * MB  # it has ended


@needs_groups
def test_group_without_a_limit_counts_as_well() -> None:
    with limited_group(None) as group:
        subprocess.run(group.command(holding(50 * MB)), capture_output=True, check=True)
        peak_bytes = group.usage().peak_bytes
    assert peak_bytes is None or peak_bytes > 50 * MB


@needs_groups
def test_group_is_removed_with_what_still_runs_in_it() -> None:
    with limited_group(100 * MB) as group:
        left = subprocess.Popen(group.command(["sleep", "600"]))
        while str(left.pid) not in (group.folder / "cgroup.procs").read_text().split():
            time.sleep(0.01)
    assert left.wait(timeout=10) == -9
    assert not group.folder.exists()


@needs_groups
def test_arguments_reach_the_command_unchanged() -> None:
    given = ["a b", "$HOME", "'", ""]
    printing = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *given]
    with limited_group(100 * MB) as group:
        done = subprocess.run(group.command(printing), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == given


def test_system_without_groups_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(GroupRefused, match="no memory control group"), limited_group(MB, root=tmp_path):
        pass


def test_tighter_limit_above_is_refused_and_named(tmp_path: Path) -> None:
    own = write_v2_tree(tmp_path)
    (own / "memory.max").write_text(str(50 * MB))
    refused = pytest.raises(GroupRefused, match=r"box/memory\.max already allows")
    with refused, limited_group(100 * MB, root=tmp_path):
        pass


def test_version_2_group_whose_children_have_no_limits_is_passed_over(tmp_path: Path) -> None:
    own = write_v2_tree(tmp_path)
    (own / "cgroup.subtree_control").write_text("cpu pids\n")
    with pytest.raises(GroupRefused, match="no memory control group"), limited_group(MB, root=tmp_path):
        pass


def write_v2_tree(root: Path) -> Path:
    """A system with version 2 alone, and this process in its group /box."""
    own = root / "sys/fs/cgroup/box"
    own.mkdir(parents=True)
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/box\n")
    (root / "proc/self/mountinfo").write_text("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    return own


def test_usage_of_version_1(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "memory.max_usage_in_bytes": "1000",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
            "memory.stat": "total_rss 5\ntotal_cache 7\ntotal_pgmajfault 3\ntotal_workingset_refault_file 9",
        },
    )
    usage = Group(tmp_path, 1).usage()
    assert (usage.peak_bytes, usage.oom_kills, usage.major_faults) == (1000, 2, 3)
    assert (usage.anonymous_bytes, usage.file_bytes, usage.refaulted_file_pages) == (5, 7, 9)


def test_usage_of_version_2_before_linux_5_19_has_no_peak(tmp_path: Path) -> None:
    stat = "anon 5\nfile 7\npgmajfault 3\nworkingset_refault_file 9"
    write_files(tmp_path, {"memory.events": "low 0\noom 3\noom_kill 2\n", "memory.stat": stat})
    usage = Group(tmp_path, 2).usage()
    assert (usage.peak_bytes, usage.oom_kills, usage.major_faults) == (None, 2, 3)
    assert (usage.anonymous_bytes, usage.file_bytes, usage.refaulted_file_pages) == (5, 7, 9)


def write_files(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text)


# --- the page cache ------------------------------------------------------------------


@pytest.fixture
def cached_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """4 MB, just written; and the rest of the machine keeps its cache."""
    monkeypatch.setattr(dropping, "_DROP_CACHES", tmp_path / "absent" / "drop_caches")
    path = tmp_path / "weights"
    path.write_bytes(os.urandom(4 << 20))
    if dropping.drop_cache(path).cached > 0.5:
        pytest.skip("the temporary folder is kept in memory: its files are their own cache")
    path.read_bytes()
    assert dropping.cached_share(path) == 1.0
    return path


def test_dropped_file_is_cold(cached_file: Path) -> None:
    state = dropping.drop_cache(cached_file)
    assert state.cold
    assert (state.warning, state.mapped_by) == ("", ())


def test_file_that_a_process_maps_stays_cached_and_is_named(cached_file: Path) -> None:
    with cached_file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        assert sum(mapping[:: mmap.PAGESIZE]) > 0  # every page is in use
        state = dropping.drop_cache(cached_file)
    assert state.mapped_by == (os.getpid(),)
    assert "still cached at the start; mapped by process" in state.warning
