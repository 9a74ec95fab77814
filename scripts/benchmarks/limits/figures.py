"""Figures of a case from its single runs: medians, and medians of ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from ..table import Row
from .cases import Case, Kind
from .sides import OURS

Run = dict[str, Any]  # what launch.run_once returns, with "side" and "repetition"
Figures = dict[str, float]  # nan: not measured

_BASELINE = {Kind.SPEED: "unlimited", Kind.SQUEEZE: "eviction alone"}


def figures_of(case: Case, runs: Sequence[Run]) -> Figures:
    """Everything that the tables and the goals need."""
    ours = side_runs(runs, OURS)
    found: Figures = {}
    for name in ("decode_tokens_per_s", "prefill_tokens_per_s", "read_bytes_per_token", "load_s"):
        found[name] = _median(run.get(name) for run in ours)
    found["peak_charged_bytes"] = _median(run["group"]["peak_bytes"] for run in ours)
    found["oom_kills"] = sum(run["group"]["oom_kills"] for run in ours)
    found["end_bytes"] = _median(held_bytes(run.get("end")) for run in ours)
    if case.kind in _BASELINE:
        found |= _against(ours, side_runs(runs, _BASELINE[case.kind]))
    if case.kind is Kind.SOAK:
        found |= _over_time(ours)
    return found


def goal_rows(case: Case, figures: Figures) -> list[Row]:
    """Each goal next to what was found; a figure that is missing misses its goal."""
    return [
        Row(
            f"{case.name}: {goal.figure.replace('_', ' ')}",
            figures.get(goal.figure, math.nan),
            goal.unit,
            most=goal.most,
            least=goal.least,
        )
        for goal in case.goals
    ]


def side_runs(runs: Iterable[Run], side: str) -> list[Run]:
    return [run for run in runs if run["side"] == side]


def held_bytes(residency: dict[str, int] | None) -> int | None:
    """Anonymous and file-backed together: what a device without swap has to spare for it."""
    return None if residency is None else residency["anonymous_bytes"] + residency["file_bytes"]


def working_set_bytes(run: Run) -> int:
    """Most that was resident after loading. Raises RuntimeError when the run failed."""
    if "error" in run:
        raise RuntimeError(f"its working set could not be measured: {run['error']}")
    return int(run["run_peak_anonymous_bytes"] + run["run_peak_file_bytes"])


def _against(ours: Sequence[Run], other: Sequence[Run]) -> Figures:
    """Ratios of the runs of one repetition, which met the same conditions; then their median."""
    found: Figures = {}
    for kind in ("decode", "prefill"):
        name = f"{kind}_tokens_per_s"
        found[f"baseline_{name}"] = _median(run.get(name) for run in other)
        found[f"{kind}_ratio"] = _median(
            mine[name] / theirs[name]
            for mine, theirs in zip(ours, other, strict=False)
            if name in mine and name in theirs
        )
    return found


def _over_time(runs: Sequence[Run]) -> Figures:
    watched = [run["residency"] for run in runs if len(run.get("residency", ())) > 1]
    found: Figures = {}
    for name, place in (("early_bytes", 0), ("late_bytes", -1)):
        found[name] = _median(held_bytes(seen[place]) for seen in watched)
    found["residency_change"] = abs(found["late_bytes"] / found["early_bytes"] - 1)
    return found


def _median(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else math.nan
