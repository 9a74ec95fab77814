"""Runs the cases, repetition after repetition, and writes the report as it goes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.values.units import parse_bytes

from .cases import CASES, Case, Kind, cases_named
from .figures import Figures, Run, figures_of, goal_rows, working_set_bytes
from .group import why_refused
from .launch import PreparationFailed, machine_line, prepare, run_once
from .model_files import ModelMissing, default_folder, model_at
from .once import describe
from .report import CaseReport, Report
from .sides import Side, full_speed_bytes, sides_of, working_set_side

_DEFAULT_OUT = Path(__file__).parents[1] / "reports" / "memory.md"


@dataclass(frozen=True)
class Settings:
    models: Path
    repetitions: int
    stock: bool
    quick: bool
    limits: Mapping[str, int]  # case name -> bytes, in place of the case's own
    working_sets: dict[str, int] = field(default_factory=dict)  # model -> bytes, once measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(case.name for case in CASES)
    parser.add_argument("--only", metavar="NAME,...", help=f"of {names}".replace("%", "%%"))
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="medians count")
    parser.add_argument("--models", type=Path, default=default_folder(), metavar="DIR")
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=SIZE", help="another limit for a case"
    )
    parser.add_argument(
        "--add", action="store_true", help="to the report that is there: keep its other cases"
    )
    parser.add_argument("--stock", action="store_true", help="llama.cpp's own defaults too")
    parser.add_argument("--quick", action="store_true", help="one repetition of few tokens: a rehearsal")
    parser.add_argument("--out", type=Path, default=_DEFAULT_OUT, metavar="FILE")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    try:
        cases, limits = cases_named(args.only), _limits(args.limit)
    except KeyError as error:
        parser.error(f"no case {error.args[0]!r}; there are: {', '.join(case.name for case in CASES)}")
    except EdgeRuntimeError as error:
        parser.error(f"{error}; {error.hint}")
    if reason := why_refused():
        print(f"skipped: no memory control group can be made here: {reason}", file=sys.stderr)
        return 0
    repetitions = 1 if args.quick else args.repetitions
    settings = Settings(args.models, repetitions, args.stock, args.quick, limits)
    report = Report(machine_line(args.models), _command(), args.quick)
    if args.add:
        report.add_earlier(args.out)
    for case in cases:
        report.add(_run_case(case, settings))
        report.write(args.out)
    print(report.tables())
    print(f"written: {args.out} and {args.out.with_suffix('.json')}", file=sys.stderr)
    return 0 if report.good else 1


def _command() -> list[str]:
    return ["scripts/bench_memory.sh", *sys.argv[1:]]


def _limits(pairs: list[str]) -> dict[str, int]:
    found = {}
    for pair in pairs:
        name, _, size = pair.partition("=")
        cases_named(name)
        found[name] = parse_bytes(size, option="limit")
    return found


def _run_case(case: Case, settings: Settings) -> CaseReport:
    """Never fails: a case that cannot be run says why in the report."""
    print(f"… {case.name}", file=sys.stderr, flush=True)
    try:
        model = model_at(case.model, settings.models)
        file = prepare(model)
        limit_bytes = _limit_of(case, model, file, settings)
    except (ModelMissing, PreparationFailed, RuntimeError) as error:
        print(f"  skipped: {error}", file=sys.stderr)
        return CaseReport(case, None, [], {}, [], str(error))
    sides = sides_of(case, model, limit_bytes, stock=settings.stock, quick=settings.quick)
    most = 1 if case.kind is Kind.SOAK else case.most_repetitions or settings.repetitions
    runs = _alternate(sides, file, min(most, settings.repetitions))
    figures: Figures = figures_of(case, runs)
    return CaseReport(case, limit_bytes, runs, figures, goal_rows(case, figures))


def _limit_of(case: Case, model: str, file: Path, settings: Settings) -> int | None:
    if case.name in settings.limits:
        return settings.limits[case.name]
    if case.working_set_share is not None:
        return int(case.working_set_share * _working_set(model, file, settings))
    if case.limit_bytes is None and case.kind is Kind.SPEED:
        return full_speed_bytes(model)
    return case.limit_bytes


def _working_set(model: str, file: Path, settings: Settings) -> int:
    if model not in settings.working_sets:
        side = working_set_side(model, quick=settings.quick)
        settings.working_sets[model] = working_set_bytes(_run_side(side, file, 1))
    return settings.working_sets[model]


def _alternate(sides: list[Side], file: Path, repetitions: int) -> list[Run]:
    """Each side once a repetition. One that failed is not tried again: it may have taken half an hour."""
    runs: list[Run] = []
    for repetition in range(1, repetitions + 1):
        failed = {run["side"] for run in runs if "error" in run}
        runs += [_run_side(side, file, repetition) for side in sides if side.name not in failed]
    return runs


def _run_side(side: Side, file: Path, repetition: int) -> Run:
    when = datetime.now().strftime("%Y-%m-%d %H:%M")
    found = run_once(side.task, file, side.limit_bytes)
    print(f"  {repetition} {side.name}: {describe(found)}", file=sys.stderr, flush=True)
    return found | {"side": side.name, "repetition": repetition, "when": when}
