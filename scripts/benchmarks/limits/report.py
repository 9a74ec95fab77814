"""The report: Markdown for people, JSON beside it, and the same tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..kept_report import KeptReport, markdown_table, read_earlier
from ..table import Row
from .cases import CASES, Case, Kind, cases_named
from .figures import Figures, Run, goal_rows, held_bytes, side_runs
from .sides import OURS

_SPEED_COLUMNS = (
    "case | limit | runs | prefill tok/s | {other} | ratio | decode tok/s | {other} | ratio"
    " | re-read a token | most charged | OOM kills | goals"
)
_COLUMNS = {
    Kind.SPEED: _SPEED_COLUMNS.format(other="unlimited"),
    Kind.SQUEEZE: _SPEED_COLUMNS.format(other="eviction alone"),
    Kind.RESIDENCY: "case | engine | anonymous | file-backed | together | goals",
    Kind.SOAK: "case | limit | at a tenth | at the end | change | most charged | OOM kills | goals",
}
_RUN_COLUMNS = (
    "case | side | # | when | load s | prefill tok/s | decode tok/s | median | with warm-up | slowest token s"
    " | read a token | faults a token | peak loading | peak after | end | most charged | refaults | note"
)
_HOW = """\
Each run is a process of its own in a memory control group without swap, started from a cold
page cache; sizes are MB of 1,000,000 bytes, and "a + f" is anonymous plus file-backed.
Prompts and answers are random token ids, so that each token needs a new row of the per-layer
embeddings. Speeds leave out the first 4 tokens of an answer; figures are medians over
repetitions, and ratios medians of the ratios within a repetition. "Most charged" includes
page cache that the kernel could have taken back, and what was cold of Python and llama.cpp.
A page that several processes map counts by its share, but in full over time: the share
changes with the others."""


@dataclass(frozen=True)
class CaseReport:
    case: Case
    limit_bytes: int | None
    runs: list[Run]
    figures: Figures
    goals: list[Row]
    skipped: str = ""  # why nothing was run

    @property
    def verdict(self) -> str:
        if self.skipped:
            return f"skipped: {self.skipped}"
        missed = [f"{_found(row)} {row.goal}" for row in self.goals if not row.good]
        return "**missed**: " + ", ".join(missed) if missed else "met"

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> CaseReport:
        """What as_json gave; goals are looked at anew. Raises KeyError for a case that is no more."""
        (case,) = cases_named(found["name"])
        figures = {name: math.nan if value is None else value for name, value in found["figures"].items()}
        goals = [] if found["skipped"] else goal_rows(case, figures)
        return cls(case, found["limit_bytes"], found["runs"], figures, goals, found["skipped"])

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.case.name,
            "limit_bytes": self.limit_bytes,
            "skipped": self.skipped,
            "figures": {name: None if math.isnan(value) else value for name, value in self.figures.items()},
            "goals": [_without_nan(row) for row in self.goals],
            "runs": self.runs,
        }


@dataclass
class Report(KeptReport):
    cases: list[CaseReport] = field(default_factory=list)

    def add(self, new: CaseReport) -> None:
        """In place of the same case of an earlier run; the order is that of CASES."""
        order = {case.name: place for place, case in enumerate(CASES)}
        others = [case for case in self.cases if case.case.name != new.case.name]
        self.cases = sorted([*others, new], key=lambda report: order.get(report.case.name, len(order)))

    def add_earlier(self, path: Path) -> None:
        """The cases of a report that was written before, if there is one."""
        for found in read_earlier(path, "cases"):
            self.add(CaseReport.from_json(found))

    @property
    def good(self) -> bool:
        """No goal missed. What was skipped misses none."""
        return all(row.good for case in self.cases for row in case.goals)

    def tables(self) -> str:
        """One table for each kind of case."""
        parts = []
        for kind in Kind:
            rows = [row for case in self.cases if case.case.kind is kind for row in _case_rows(case)]
            if rows:
                parts.append(f"## {kind.value}\n\n{_table(_COLUMNS[kind], rows)}")
        return "\n\n".join([*parts, self._disturbed()]).strip()

    def _disturbed(self) -> str:
        """A warning about runs that had no cold cache or no machine to themselves."""
        runs = [run for case in self.cases for run in case.runs]
        count = sum("warning" in run for run in runs)
        return f"**{count} of {len(runs)} runs were disturbed**: see their notes." if count else ""

    def markdown(self) -> str:
        runs = [_run_row(case, run) for case in self.cases for run in case.runs]
        return (
            f"{self.heading('Memory under a hard limit', 'tokens')}\n\n{_HOW}\n\n{self.tables()}\n\n"
            "## Every run\n\n"
            f"<details><summary>{len(runs)} runs</summary>\n\n{_table(_RUN_COLUMNS, runs)}\n\n</details>\n"
        )

    def contents(self) -> dict[str, Any]:
        return {"cases": [case.as_json() for case in self.cases]}


def _case_rows(report: CaseReport) -> list[list[str]]:
    kind, name = report.case.kind, report.case.name
    if report.skipped:
        width = _COLUMNS[kind].count("|") + 1
        return [[name, *[""] * (width - 2), report.verdict]]
    if kind is Kind.RESIDENCY:
        return [_residency_row(report, run) for run in _one_of_each_side(report.runs)]
    if kind is Kind.SOAK:
        return [_soak_row(report)]
    return [_speed_row(report), *_stock_rows(report)]


def _speed_row(report: CaseReport) -> list[str]:
    found = report.figures
    cells = [report.case.name, _mb(report.limit_bytes), str(len(side_runs(report.runs, OURS)))]
    for kind in ("prefill", "decode"):
        name = f"{kind}_tokens_per_s"
        cells += [_number(found.get(key)) for key in (name, f"baseline_{name}", f"{kind}_ratio")]
    cells += [_kb(found.get("read_bytes_per_token")), _mb(found.get("peak_charged_bytes"))]
    return [*cells, _number(found.get("oom_kills")), report.verdict]


def _stock_rows(report: CaseReport) -> list[list[str]]:
    """llama.cpp's first run under the same limit, for comparison; all of them are in the second table."""
    rows = []
    for run in side_runs(report.runs, "stock")[:1]:
        cells = [f"{report.case.name}, stock", _mb(report.limit_bytes), "1"]
        for kind in ("prefill", "decode"):
            cells += [_number(run.get(f"{kind}_tokens_per_s")), "", ""]
        cells += [_kb(run.get("read_bytes_per_token")), _mb(run["group"]["peak_bytes"])]
        rows.append([*cells, str(run["group"]["oom_kills"]), run.get("error", "")])
    return rows


def _residency_row(report: CaseReport, run: Run) -> list[str]:
    end = run.get("end")
    kinds = [_mb(end[f"{kind}_bytes"]) if end else "" for kind in ("anonymous", "file")]
    verdict = report.verdict if run["side"] == OURS else ""
    return [report.case.name, run["side"], *kinds, _mb(held_bytes(end)), verdict]


def _soak_row(report: CaseReport) -> list[str]:
    found = report.figures
    change = found["residency_change"]
    sizes = [_mb(found[name]) for name in ("early_bytes", "late_bytes")]
    cells = [f"{report.case.name} ({report.case.note})", _mb(report.limit_bytes), *sizes]
    cells += ["" if math.isnan(change) else f"{change:.1%}", _mb(found["peak_charged_bytes"])]
    return [*cells, _number(found["oom_kills"]), report.verdict]


def _run_row(report: CaseReport, run: Run) -> list[str]:
    peaks = [
        _both(run.get(f"{when}_anonymous_bytes"), run.get(f"{when}_file_bytes"))
        for when in ("load_peak", "run_peak")
    ]
    end = run.get("end") or {}
    speeds = ("", "_median", "_with_warm_up")
    return [
        report.case.name,
        run["side"],
        str(run["repetition"]),
        run["when"],
        _number(run.get("load_s")),
        _number(run.get("prefill_tokens_per_s")),
        *[_number(run.get(f"decode{which}_tokens_per_s")) for which in speeds],
        _number(run.get("slowest_token_s")),
        _kb(run.get("read_bytes_per_token")),
        _number(run.get("major_faults_per_token")),
        *peaks,
        _both(end.get("anonymous_bytes"), end.get("file_bytes")),
        _mb(run["group"]["peak_bytes"]),
        str(run["group"]["refaulted_file_pages"]),
        "; ".join(run[key] for key in ("error", "warning") if key in run),
    ]


def _one_of_each_side(runs: Sequence[Run]) -> list[Run]:
    """The one with the median of what is held, so that its parts add up."""
    chosen = []
    for side in dict.fromkeys(run["side"] for run in runs):
        ordered = sorted(side_runs(runs, side), key=lambda run: held_bytes(run.get("end")) or 0)
        chosen.append(ordered[len(ordered) // 2])
    return chosen


def _table(columns: str, rows: Sequence[Sequence[str]]) -> str:
    heads = [head.strip() for head in columns.split("|")]
    return markdown_table([heads, *rows])


def _found(row: Row) -> str:
    return row.what.partition(": ")[2] + f" {row.found:.4g}"


def _without_nan(row: Row) -> dict[str, Any]:
    found = row.as_json()
    return found | {"found": None if math.isnan(row.found) else row.found}


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _mb(size_bytes: float | None) -> str:
    return "" if size_bytes is None or math.isnan(size_bytes) else f"{size_bytes / 1e6:.0f} MB"


def _kb(size_bytes: float | None) -> str:
    if size_bytes is None or math.isnan(size_bytes):
        return ""
    return f"{size_bytes / 1e3:.1f} KB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def _both(anonymous_bytes: int | None, file_bytes: int | None) -> str:
    if anonymous_bytes is None or file_bytes is None:
        return ""
    return f"{anonymous_bytes / 1e6:.0f} + {file_bytes / 1e6:.0f}"
