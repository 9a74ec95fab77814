"""The benchmark under memory limits: groups that really kill, caches that are really dropped, tables."""

from __future__ import annotations

import json
import math
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from builders import tiny_llama_gguf

from scripts.benchmarks.limits import __main__ as command
from scripts.benchmarks.limits import drop_cache as dropping
from scripts.benchmarks.limits import launch, other_work, run, step_clock
from scripts.benchmarks.limits.cases import CASES, Case, Goal, Kind
from scripts.benchmarks.limits.figures import figures_of, goal_rows
from scripts.benchmarks.limits.group import Group, GroupRefused, limited_group, why_refused
from scripts.benchmarks.limits.model_files import ModelMissing, model_at
from scripts.benchmarks.limits.report import CaseReport, Report
from scripts.benchmarks.limits.sides import sides_of
from scripts.benchmarks.limits.step_clock import Mark, StepClock
from scripts.benchmarks.limits.task import Task

ROOT = Path(__file__).parent.parent
REFUSED = why_refused()
needs_groups = pytest.mark.skipif(bool(REFUSED), reason=f"no memory control group: {REFUSED}")
MB = 1_000_000


def holding(size_bytes: int) -> list[str]:
    """A process that writes to so many bytes of anonymous memory."""
    return [sys.executable, "-c", f"held = b'x' * {size_bytes}; print(len(held))"]


# --- groups --------------------------------------------------------------------------


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


# --- a run ---------------------------------------------------------------------------


@needs_groups
def test_both_engines_run_a_tiny_model_in_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropping, "_DROP_CACHES", tmp_path / "absent" / "drop_caches")
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    assert launch.prepare(str(path)) == path
    for engine in ("ours", "stock"):
        task = Task(
            engine,
            str(path),
            context_tokens=64,
            threads=1,
            prompt_tokens=20,
            answer_tokens=20,
            watch_residency=True,
        )
        found = launch.run_once(task, path, 500 * MB, most_s=60)
        assert "error" not in found
        assert (found["decoded_tokens"], len(found["token_s"])) == (20, 20)
        assert [seen["after"] for seen in found["residency"]] == list(range(2, 21, 2))
        assert found["group"]["oom_kills"] == 0
        assert found["end"]["anonymous_bytes"] > 10 * MB
        assert found["task"]["engine"] == engine


@needs_groups
def test_run_that_is_killed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropping, "_DROP_CACHES", tmp_path / "absent" / "drop_caches")
    monkeypatch.setattr(launch, "_CHILD", holding(200 * MB))
    (tmp_path / "model").touch()
    found = launch.run_once(Task("ours", "model"), tmp_path / "model", 100 * MB)
    assert found["error"] == "killed: out of memory (1 oom kills)"


@needs_groups
def test_run_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropping, "_DROP_CACHES", tmp_path / "absent" / "drop_caches")
    monkeypatch.setattr(launch, "_CHILD", ["sh", "-c", "exec sleep 600"])
    (tmp_path / "model").touch()
    found = launch.run_once(Task("ours", "model"), tmp_path / "model", 100 * MB, most_s=0.2)
    assert found["error"] == "not done within 0.2 s"


def test_file_that_is_no_model_cannot_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"no model")
    with pytest.raises(launch.PreparationFailed, match=r"no\.gguf"):
        launch.prepare(str(tmp_path / "no.gguf"))


def test_parent_maps_neither_numpy_nor_llama() -> None:
    code = "import sys, scripts.benchmarks.limits.__main__; print({'numpy', 'llama_cpp'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_clock_leaves_the_warm_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # A prompt in two steps of 1 s, four slow tokens of 1 s, then four of 0.5, 0.5, 0.5 and 2.5 s.
    at_s = [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.5, 7.0, 7.5, 10.0]
    marks = iter([Mark(second, int(second), int(second) * 100) for second in at_s])
    monkeypatch.setattr(step_clock.Mark, "now", lambda: next(marks))
    clock = StepClock(prompt_tokens=30, answer_tokens=8)
    clock.start()
    for tokens in (20, 10, *[1] * 8):
        clock.step(tokens)
    found = clock.figures()
    assert found["prefill_tokens_per_s"] == 15
    assert found["decode_tokens_per_s"] == 1.0
    assert found["decode_median_tokens_per_s"] == 2.0
    assert found["decode_with_warm_up_tokens_per_s"] == 1.0
    assert found["slowest_token_s"] == 2.5
    assert found["read_bytes_per_token"] == 100  # (1000 - 600) / 4
    assert found["major_faults_per_token"] == 1


def test_work_of_others_is_counted_and_waiting_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(other_work, "_STAT", stat)
    stat.write_text("cpu  100 0 50 1000 10 0 0 0 0 0\ncpu0 1 1 1\n")
    others = other_work.OtherWork()
    stat.write_text("cpu  100 0 50 900000 900000 0 0 0 0 0\ncpu0 1 1 1\n")  # idle and waiting for disks
    assert others.busy_cores() == 0
    stat.write_text("cpu  90000 0 50 1000 10 0 0 900 0 0\ncpu0 1 1 1\n")
    assert "cores busy" in other_work.warning(others.busy_cores())


# --- cases and figures ---------------------------------------------------------------


def test_cases_have_names_of_their_own_and_models_that_are_known(tmp_path: Path) -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        (tmp_path / case.model).touch()
        known = model_at(case.model, tmp_path)
        assert known == (str(tmp_path / case.model) if case.model.endswith(".gguf") else case.model)


def test_missing_model_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 2))
    with pytest.raises(ModelMissing, match="edge_runtime synth gemma-3n-e2b"):
        model_at("e2b-q4_0.gguf", tmp_path)


def test_sides_of_each_kind(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(tiny_llama_gguf())

    def names(kind: Kind, **options: bool) -> list[str]:
        sides = sides_of(Case("c", kind, "m"), str(model), 400_000_000, **{"stock": False, **options})
        return [side.name for side in sides]

    assert names(Kind.SPEED) == ["ours", "unlimited"]
    assert names(Kind.SPEED, stock=True) == ["ours", "unlimited", "stock"]
    assert names(Kind.SQUEEZE) == ["ours", "eviction alone"]
    assert names(Kind.RESIDENCY) == ["ours", "stock"]
    assert names(Kind.SOAK, stock=True) == ["ours"]


def test_unlimited_side_has_neither_limit_nor_budget() -> None:
    ours, unlimited = sides_of(Case("c", Kind.SPEED, "m"), "m", 100, stock=False)
    assert (ours.limit_bytes, ours.task.budget) == (100, "100")
    assert (unlimited.limit_bytes, unlimited.task.budget) == (None, None)


def one_run(side: str, decode: float, **more: Any) -> dict[str, Any]:
    usage = {"peak_bytes": 1_900_000_000, "oom_kills": 0, "refaulted_file_pages": 3}
    speeds = {"decode_tokens_per_s": decode, "prefill_tokens_per_s": 10 * decode}
    return {"side": side, "repetition": 1, "group": usage, **speeds, **more}


SPEED = Case("fast", Kind.SPEED, "m.gguf", goals=(Goal("decode_ratio", least=0.95),))


def test_ratio_is_the_median_over_repetitions() -> None:
    pairs = [(5.0, 10.0), (9.0, 9.0), (4.0, 5.0)]
    runs = [
        one_run(side, speed)
        for pair in pairs
        for side, speed in zip(("ours", "unlimited"), pair, strict=True)
    ]
    found = figures_of(SPEED, runs)
    assert found["decode_ratio"] == 0.8
    assert found["baseline_decode_tokens_per_s"] == 9.0
    assert [row.good for row in goal_rows(SPEED, found)] == [False]


def test_failed_run_misses_its_goal() -> None:
    failed = {"side": "ours", "repetition": 1, "error": "killed", "group": one_run("", 1)["group"]}
    found = figures_of(SPEED, [failed, one_run("unlimited", 5.0)])
    assert math.isnan(found["decode_ratio"])
    assert [row.good for row in goal_rows(SPEED, found)] == [False]


def test_change_over_time_counts_both_ways() -> None:
    def seen(after: int, size_bytes: int) -> dict[str, int]:
        return {"after": after, "anonymous_bytes": size_bytes, "file_bytes": 100, "locked_bytes": 0}

    case = Case("soak", Kind.SOAK, "m", goals=(Goal("residency_change", most=0.02),))
    found = figures_of(case, [one_run("ours", 1.0, residency=[seen(20, 100), seen(100, 500), seen(200, 90)])])
    assert found["residency_change"] == pytest.approx(0.05)


# --- the report and the command line -------------------------------------------------


def test_report_says_what_was_missed_and_what_was_skipped(tmp_path: Path) -> None:
    runs = [
        one_run("ours", 4.0, error="late | news"),
        one_run("unlimited", 5.0),
        one_run("stock", 2.0, warning="warm"),
    ]
    figures = figures_of(SPEED, runs)
    report = Report("a machine", ["bench", "--only", "a b"], 1, quick=False)
    report.add(CaseReport(SPEED, 2_000 * MB, runs, figures, goal_rows(SPEED, figures)))
    report.add(CaseReport(Case("gone", Kind.SOAK, "m"), None, [], {}, [], "no such file"))
    report.write(tmp_path / "new" / "memory.md")
    text = (tmp_path / "new" / "memory.md").read_text()
    assert "**missed**: decode ratio 0.8 >= 0.95" in text
    assert "skipped: no such file" in text
    assert "**1 of 3 runs were disturbed**" in text
    assert "late / news" in text  # a bar would begin another column
    assert "`bench --only 'a b'`" in text
    assert not report.good
    found = json.loads((tmp_path / "new" / "memory.json").read_text())
    assert [case["name"] for case in found["cases"]] == ["fast", "gone"]
    assert found["cases"][0]["figures"]["decode_ratio"] == 0.8


@pytest.mark.parametrize("kind", Kind)
def test_rows_of_every_kind_are_as_wide_as_their_table(kind: Kind) -> None:
    held = {"anonymous_bytes": 1, "file_bytes": 2, "locked_bytes": 0}
    runs = [one_run(side, 1.0, end=held, residency=[held, held]) for side in ("ours", "stock")]
    case = Case("c", kind, "m")
    report = Report("", [], 1, quick=False, cases=[CaseReport(case, 100, runs, figures_of(case, runs), [])])
    lines = [line for line in report.markdown().splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines[: len(lines) - 4]} == {lines[0].count("|")}
    assert {line.count("|") for line in lines[-4:]} == {lines[-1].count("|")}


def test_without_groups_it_says_why_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "why_refused", lambda: "not yours")
    assert command.main([]) == 0
    assert capsys.readouterr().err == "skipped: no memory control group can be made here: not yours\n"


def test_unknown_case_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--only", "nope"], ["--limit", "nope=1GB"]):
        with pytest.raises(SystemExit, match="2"):
            command.main(arguments)
        assert "no case 'nope'; there are: e2b-2.0GB" in capsys.readouterr().err


def test_help_lists_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    said = "".join(capsys.readouterr().out.split())  # a name may be broken over two lines
    assert all(case.name in said for case in CASES)
