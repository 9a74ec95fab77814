"""The benchmark under memory limits: runs, figures, tables."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.builders import tiny_llama_gguf
from support.mapped_file import MappedFile, linux_only
from support.memory_groups import MB, holding, needs_groups
from support.places import ROOT

from scripts.benchmarks.limits import __main__ as command
from scripts.benchmarks.limits import drop_cache as dropping
from scripts.benchmarks.limits import launch, other_work, run, step_clock
from scripts.benchmarks.limits.cases import CASES, Case, Goal, Kind, cases_named
from scripts.benchmarks.limits.figures import figures_of, goal_rows
from scripts.benchmarks.limits.model_files import ModelMissing, model_at
from scripts.benchmarks.limits.report import CaseReport, Report
from scripts.benchmarks.limits.sides import sides_of
from scripts.benchmarks.limits.step_clock import Mark, StepClock
from scripts.benchmarks.limits.task import Task

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
    return {"side": side, "repetition": 1, "when": "2026-11-22 12:00", "group": usage, **speeds, **more}


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


_MAP = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
    found = sum(pages[::4096])
    print(found, flush=True)
    sys.stdin.read()
"""


@linux_only
def test_over_time_it_is_no_change_that_another_process_maps_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(bytes(range(256)) * (16 * MB // 256))
    mapped = MappedFile(path)
    mapped.touch_all(0, mapped.size_bytes)
    alone, alone_by_share = step_clock.resident(), step_clock.residency()
    command = [sys.executable, "-c", _MAP, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        beside, beside_by_share = step_clock.resident(), step_clock.residency()
        other.communicate()
    mapped.close()
    assert abs(beside["file_bytes"] - alone["file_bytes"]) < 2 * MB
    assert alone_by_share["file_bytes"] - beside_by_share["file_bytes"] > 6 * MB  # half of it, and libraries


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
    report = Report("a machine", ["bench", "--only", "a b"], quick=False)
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


def test_a_later_run_replaces_its_own_cases_of_the_report_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "memory.md"
    for names, speed in (("g4e2b-2.0GB e2b-2.0GB", 3.0), ("e2b-2.0GB", 6.0)):
        report = Report("a machine", [], quick=False)
        report.add_earlier(path)
        for case in cases_named(names.replace(" ", ",")):
            runs = [one_run("ours", speed), one_run("unlimited", 6.0)]
            figures = figures_of(case, runs)
            report.add(CaseReport(case, 2_000 * MB, runs, figures, goal_rows(case, figures)))
        report.write(path)
    found = json.loads(path.with_suffix(".json").read_text())["cases"]
    assert [(case["name"], case["figures"]["decode_ratio"]) for case in found] == [
        ("e2b-2.0GB", 1.0),
        ("g4e2b-2.0GB", 0.5),
    ]
    assert "**missed**: decode ratio 0.5 >= 0.95" in path.read_text()


@pytest.mark.parametrize("kind", Kind)
def test_rows_of_every_kind_are_as_wide_as_their_table(kind: Kind) -> None:
    held = {"anonymous_bytes": 1, "file_bytes": 2, "locked_bytes": 0}
    runs = [one_run(side, 1.0, end=held, residency=[held, held]) for side in ("ours", "stock")]
    case = Case("c", kind, "m")
    report = Report("", [], quick=False, cases=[CaseReport(case, 100, runs, figures_of(case, runs), [])])
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


def test_published_reports_name_no_folder_of_the_machine() -> None:
    reports = ROOT / "scripts" / "benchmarks" / "reports"
    found = sorted(path for path in reports.iterdir() if path.suffix in (".json", ".md"))
    assert len(found) > 5
    for path in found:
        named = re.findall(r"(?<![\w.~])/(?:root|home|tmp|Users|work)/\S*", path.read_text(encoding="utf-8"))
        assert not named, (path.name, named[0])
