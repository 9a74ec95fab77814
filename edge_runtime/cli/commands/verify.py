"""`edge-runtime verify`: hashes and contents of model files. Exit status 3 when something is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalog.inventory import Verdict, Verified, is_stored, stored_files, verify_hash
from ...errors import OptionInvalid
from ...gguf.header import first_of_set
from ...values.display_text import clean
from ..options.shared_options import MODEL_HELP, MODEL_METAVAR, add_json_option
from ..screen.exit_status import GOOD, MODEL
from ..screen.progress_bar import ConsoleProgress
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.verify import Problem, VerifyReport

_MOST_WARNINGS = 10  # shown; --json has all
_ABOUT = (
    "Check model files. Hash: of files in the store, compared with the sha256 of the manifest, or with the "
    "one they had when they came. Contents, of GGUF files: structure, NaN, infinity and zero in scales and "
    "values, texts through the tokenizer and back, and --against something known. Exit status 3 when "
    "something is wrong."
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("verify", help=SUMMARIES["verify"], description=_ABOUT)
    parser.add_argument(
        "names", nargs="*", metavar=MODEL_METAVAR, help=f"{MODEL_HELP} (default: all that are in the store)"
    )
    parser.add_argument(
        "--hash-only", action="store_true", help="compare hashes alone; contents take longer (default: both)"
    )
    parser.add_argument(
        "--against",
        metavar="MANIFEST|FILE",
        help="compare with a GGUF file, a manifest (.toml, or a name in the catalog) or what `verify --json` "
        "printed (default: nothing)",
    )
    add_json_option(parser)
    parser.set_defaults(run=_run)


@dataclass(frozen=True)
class Checked:
    """One file; what was not checked is None."""

    path: Path
    hash: Verified | None
    contents: VerifyReport | None

    @property
    def is_good(self) -> bool:
        differs = self.hash is not None and self.hash.verdict is Verdict.DIFFERENT
        return not differs and (self.contents is None or self.contents.is_good)

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "good": self.is_good,
            "hash": self.hash and self.hash.as_json(),
            "contents": self.contents and self.contents.as_json(),
        }


def _run(args: argparse.Namespace) -> int:
    paths = stored_files(args.names)
    _check_against(args, paths)
    if not paths:
        print("no model is here", file=sys.stderr)
    results = []
    for path in paths:
        results.append(_check(path, args))
        if not args.json:
            print("\n".join(map(_plain, _text(results[-1]))))
    if args.json:
        print(json.dumps({"files": [result.as_json() for result in results]}, indent=1))
    return GOOD if all(result.is_good for result in results) else MODEL


def _check_against(args: argparse.Namespace, paths: Sequence[Path]) -> None:
    if args.against is None:
        return
    if args.hash_only:
        raise OptionInvalid(
            "--against goes with the contents", hint="leave --hash-only out", option="against"
        )
    if len(paths) != 1:
        raise OptionInvalid(
            f"--against goes with one file, and {len(paths)} are meant",
            hint="name one file, such as NAME:QUANT",
            option="against",
        )


def _check(path: Path, args: argparse.Namespace) -> Checked:
    """Outside the store there is nothing to compare a hash with: it is only made when it is asked for."""
    progress = ConsoleProgress()
    hashed = verify_hash(path, progress) if args.hash_only or is_stored(path) else None
    first = first_of_set(path)  # whose contents are those of the whole set
    is_seen_elsewhere = is_stored(path) and first != path and first.is_file()
    if args.hash_only or is_seen_elsewhere or (is_stored(path) and path.suffix.lower() != ".gguf"):
        return Checked(path, hashed, None)
    from edge_tools.verify import verify_model

    return Checked(path, hashed, verify_model(path, args.against, progress))


def _text(result: Checked) -> Iterator[str]:
    if result.hash is not None:
        yield from _hash_lines(result.hash)
    if result.contents is not None:
        yield from report_lines(result.contents)


def _hash_lines(result: Verified) -> Iterator[str]:
    line = f"{result.verdict.value}: {result.name}, {result.path.name}, sha256 {result.sha256}"
    if result.verdict is Verdict.DIFFERENT:
        yield f"{line}, expected {result.expected_sha256} ({result.expected_from})"
        yield f"  hint: edge-runtime models remove {result.name}, then pull or import it again"
    elif result.verdict is Verdict.FIRST:
        later = ", a later verify compares with this" if is_stored(result.path) else ""
        yield f"{line}; there was nothing to compare with{later}"
    else:
        since = ", unchanged since" if result.was_unchanged else ", touched since"
        before = f"; last verified {result.before.verified_at[:10]}{since}" if result.before else ""
        yield f"{line}, as its {result.expected_from} says{before}"


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
