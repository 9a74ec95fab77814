"""Does a plan say what a process then holds? Each case is planned, loaded, run and watched.

    scripts/bench_plan.sh [--only NAME,...] [--models FOLDER] [--report FILE]

Exit status: 0 every total within 5 % of what was measured, 1 a case missed that, 2 usage.
Weights of the larger models are random: it is their sizes that count.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from edge_runtime.bench.plan_check import Comparison, Measured, measure
from edge_runtime.catalog.catalog import locate
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.gguf.header import read_header
from edge_runtime.memory import LoadOptions
from edge_runtime.runtime.planning import plan

from .limits.model_files import ModelMissing, default_folder, model_at
from .machine import describe_machine

GOAL = 0.05
_REPORT = Path(__file__).parent / "reports" / "plan.md"
_SMOL, _GEMMA = "smollm2-135m-instruct", "gemma-3-270m"
_1B, _3N, _4 = "gemma3-1b-q4_0.gguf", "e2b-q4_0-q6_k-q8_0.gguf", "g4e2b-q4_0.gguf"
_HOW = """\
Each case is a process of its own: it opens the model with the plan's choices, evaluates a prompt of
random token ids and draws 16 more. Measured is the peak of RssAnon and RssFile from loading's end on,
20 looks a second, with the page tables (VmPTE). Where the prompt does not fill the context, "planned"
is the plan at so many tokens (`edge_runtime/memory/expected.py`): less of the attention masks and of
the rows of embedding tables is touched then. Sizes are MB of 1,000,000 bytes; an error above 0
means that the plan says too much. Worst first."""


@dataclass(frozen=True)
class Case:
    model: str  # a catalog name, or a file of model_files.py
    context_tokens: int
    kv_type: str
    repack: bool
    prompt_tokens: int = 512  # at most
    budget_bytes: int | None = None

    @property
    def name(self) -> str:
        words = [self.model.removesuffix(".gguf"), str(self.context_tokens), self.kv_type]
        words += ["repack"] * self.repack + [f"{(self.budget_bytes or 0) / 1e9:g}GB"] * bool(
            self.budget_bytes
        )
        return "-".join(words)


CASES = (
    Case(_SMOL, 512, "f16", True),
    Case(_SMOL, 2048, "q8_0", False, 2048),
    Case(_SMOL, 4096, "f16", True, 4096),  # full: scores of plain attention grow until then
    Case(_SMOL, 8192, "q4_0", True),
    Case(_SMOL, 32768, "q8_0", True),
    Case(_GEMMA, 512, "q4_0", True),
    Case(_GEMMA, 2048, "f16", False, 2048),
    Case(_GEMMA, 8192, "q8_0", True),
    Case(_GEMMA, 32768, "f16", True),
    Case(_1B, 512, "f16", True),
    Case(_1B, 4096, "q8_0", False),
    Case(_1B, 8192, "q4_0", True),
    Case(_1B, 32768, "f16", True),
    Case(_3N, 512, "q4_0", False, 256),
    Case(_3N, 4096, "f16", True),
    Case(_3N, 4096, "f16", True, 512, 1_900_000_000),
    Case(_3N, 32768, "q8_0", True),
    Case(_4, 2048, "q8_0", False),
    Case(_4, 4096, "f16", True),
    Case(_4, 32768, "q4_0", True),
)


@dataclass(frozen=True)
class Result:
    case: Case
    measured: Measured | None
    problem: str = ""

    @property
    def error(self) -> float:
        """Absolute; infinite without figures."""
        return abs(self.measured.error) if self.measured else float("inf")

    @property
    def good(self) -> bool:
        return self.error <= GOAL


def run_case(case: Case, folder: Path) -> Result:
    try:
        path = locate(model_at(case.model, folder)).path
        options = LoadOptions(
            budget=case.budget_bytes,
            context_tokens=case.context_tokens,
            kv_type=case.kv_type,
            repack=case.repack,
        )
        header = read_header(path)
        return Result(
            case, measure(header, plan(path, options), options, most_prompt_tokens=case.prompt_tokens)
        )
    except (EdgeRuntimeError, ModelMissing) as error:
        return Result(case, None, f"{type(error).__name__}: {str(error).splitlines()[-1]}")


# --- the report --------------------------------------------------------------------------

_COLUMNS = (
    "case | prompt | planned | measured | error | goal | anonymous planned | measured | file-backed planned"
    " | measured | largest error of a part"
)


def markdown(results: Sequence[Result], command: Sequence[str], machine: str) -> str:
    date = datetime.now().strftime("%Y-%m-%d %H:%M")
    missed = sum(not result.good for result in results)
    verdict = f"**{missed} of {len(results)} cases missed**" if missed else f"All {len(results)} cases met"
    lines = [
        *("# Planned and measured memory", "", f"{machine}  ", f"{date}: `{shlex.join(command)}`", ""),
        *(_HOW, "", f"{verdict} the goal of {GOAL:.0%}.", "", _row(_COLUMNS.split(" | "))),
        _row(["---", *["--:"] * _COLUMNS.count("|")]),
        *(_row(_cells(result)) for result in results),
    ]
    return "\n".join(lines) + "\n"


def _cells(result: Result) -> list[str]:
    found = result.measured
    if found is None:
        return [result.case.name, *[""] * (_COLUMNS.count("|") - 1), result.problem]
    by_name = {group.name: group for group in found.groups}
    total, anonymous, file = (by_name[name] for name in ("total", "anonymous", "file-backed"))
    verdict = "met" if result.good else "**missed**"
    cells = [result.case.name, str(found.task.prompt_tokens), *_pair(total), f"{total.error:+.1%}", verdict]
    cells += [*_pair(anonymous), *_pair(file), _worst_part(found)]
    return [*cells[:-1], cells[-1] + ("" if found.as_planned else "; the child chose otherwise")]


def _worst_part(found: Measured) -> str:
    if not found.parts:
        return ""
    worst = max(found.parts, key=lambda part: abs(part.planned_bytes - part.measured_bytes))
    return f"{worst.name} {(worst.planned_bytes - worst.measured_bytes) / 1e6:+.1f} ({worst.error:+.1%})"


def _pair(compared: Comparison) -> list[str]:
    return [f"{size / 1e6:,.1f}" for size in (compared.planned_bytes, compared.measured_bytes)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(results: Sequence[Result], path: Path, command: Sequence[str]) -> None:
    machine = describe_machine()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(results, command, machine), encoding="utf-8")
    everything = {
        "machine": machine,
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "command": list(command),
        "goal": GOAL,
        "cases": [
            {
                "name": result.case.name,
                **asdict(result.case),
                "good": result.good,
                "problem": result.problem,
                "measured": result.measured.as_json() if result.measured else None,
            }
            for result in results
        ],
    }
    path.with_suffix(".json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench_plan.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAME,...", help="cases whose names begin so")
    parser.add_argument("--models", type=Path, default=default_folder(), metavar="FOLDER")
    parser.add_argument("--report", type=Path, default=_REPORT, metavar="FILE")
    chosen = parser.parse_args(arguments)
    starts = tuple(chosen.only.split(",")) if chosen.only else ("",)
    cases = [case for case in CASES if case.name.startswith(starts)]
    if not cases:
        parser.error("no case is called so: " + ", ".join(case.name for case in CASES))
    results = []
    for number, case in enumerate(cases, start=1):
        result = run_case(case, chosen.models)
        results.append(result)
        error = f"{result.measured.error:+.1%}" if result.measured else result.problem
        print(f"{number}/{len(cases)} {case.name}: {error}", file=sys.stderr, flush=True)
    results.sort(key=lambda result: -result.error)
    write(results, chosen.report, ["scripts/bench_plan.sh", *arguments])
    print(chosen.report.read_text(encoding="utf-8"))
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
