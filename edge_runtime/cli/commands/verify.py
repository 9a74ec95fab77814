"""`edge-runtime verify`: whether a GGUF file is whole. Exit status 3 when it is not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...values.display_text import clean
from ..screen.exit_status import GOOD, MODEL
from ..screen.progress_bar import ConsoleProgress

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.verify import Problem, VerifyReport

_MOST_WARNINGS = 10  # shown; --json has all


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("verify", help="whether a GGUF file is whole")
    parser.description = (
        "Check a file's structure, look for NaN, infinity and zero in scales and values, send texts through "
        "its tokenizer and back, and compare it with something known. Exit status 3 when something is wrong."
    )
    parser.add_argument("model", metavar="FILE|NAME")
    parser.add_argument(
        "--against",
        metavar="MANIFEST|FILE",
        help="a GGUF file, a manifest (.toml, or a name of the catalog) or what `verify --json` printed",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.verify import verify_model

    report = verify_model(args.model, args.against, ConsoleProgress())
    text = "\n".join(map(_plain, report_lines(report)))
    print(json.dumps(report.as_json(), indent=1) if args.json else text)
    return GOOD if report.is_good else MODEL


def report_lines(report: VerifyReport) -> Iterator[str]:
    """One line a finding, and a last one with the verdict."""
    yield from _lines("problem", report.problems)
    yield from _lines("warning", report.warnings[:_MOST_WARNINGS])
    if len(report.warnings) > _MOST_WARNINGS:
        yield f"warning: {len(report.warnings) - _MOST_WARNINGS} more like these; --json lists them all"
    verdict = "good" if report.is_good else f"{len(report.problems)} wrong"
    yield f"{report.path.name}: {verdict}; checked: {', '.join(report.checked)}"


def _lines(kind: str, findings: Sequence[Problem]) -> Iterator[str]:
    return (f"{kind}: {finding}" for finding in findings)


def _plain(line: str) -> str:
    return clean(line.replace("\n", " "))
