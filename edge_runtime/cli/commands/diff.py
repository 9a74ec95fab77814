"""`edge-runtime diff`: what differs between two GGUF files. Exit status 1 when something does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...values.display_text import one_line, text_columns
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.diff import Difference, MetadataChange, TensorChange

DIFFERENT = 1  # as diff(1) has it

_COLUMNS = 80
_NAME_COLUMNS, _TYPE_COLUMNS = 31, 13
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("diff", help="what differs between two GGUF files")
    parser.description = (
        "Metadata that differs, and how far apart the weights are, the worst tensor first. "
        "Exit status 0 when all is equal, 1 when not."
    )
    parser.add_argument("a", metavar="A", help="the reference: a file or a model's name")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.diff import diff_models

    found = diff_models(args.a, args.b, ConsoleProgress())
    print(json.dumps(found.as_json(), indent=1) if args.json else "\n".join(difference_lines(found)))
    return GOOD if found.is_equal else DIFFERENT


def difference_lines(difference: Difference) -> Iterator[str]:
    """No line is longer than 80 columns; control characters are gone."""
    for change in difference.metadata:
        yield from _metadata_lines(change)
    if difference.metadata and difference.tensors:
        yield ""
    if difference.tensors:
        yield _row("TENSOR", "TYPE", "MAX ABS", "RMS", "REL RMS", "COSINE")
        yield from map(_tensor_line, difference.tensors)
        yield ""
    total = difference.equal_tensors + len(difference.tensors)
    yield f"differ: {len(difference.metadata)} metadata keys, {len(difference.tensors)} of {total} tensors"


def _metadata_lines(change: MetadataChange) -> Iterator[str]:
    sign = _SIGNS[change.kind]
    if change.before is None or change.after is None:
        yield one_line(f"{sign} {change.key}: {change.before or change.after or ''}", _COLUMNS)
        return
    yield one_line(f"{sign} {change.key}", _COLUMNS)
    yield "    " + one_line(change.before, _COLUMNS - 4)
    yield " -> " + one_line(change.after, _COLUMNS - 4)


def _tensor_line(change: TensorChange) -> str:
    error = change.error
    if error is None:
        what = {"added": f"only in B: {change.after}", "removed": f"only in A: {change.before}"}
        words = what.get(change.kind) or change.note or f"{change.before} -> {change.after}"
        return _name(change.name) + one_line(words, _COLUMNS - _NAME_COLUMNS)
    types = dict.fromkeys(text.split(" ", 1)[0] for text in (change.before, change.after))
    return _row(
        change.name,
        ">".join(types),
        f"{error.max_abs:.3g}",
        f"{error.rms:.3g}",
        f"{error.relative_rms:.2%}" if not error.not_finite else "NaN",
        f"{error.cosine:.5f}",
    )


def _row(name: str, types: str, max_abs: str, rms: str, relative: str, cosine: str) -> str:
    return f"{_name(name)}{types:<{_TYPE_COLUMNS}}{max_abs:>9}{rms:>9}{relative:>9}{cosine:>9}"


def _name(name: str) -> str:
    shown = one_line(name, _NAME_COLUMNS - 1)
    return shown + " " * (_NAME_COLUMNS - text_columns(shown))
