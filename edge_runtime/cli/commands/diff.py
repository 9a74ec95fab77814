"""`edge-runtime diff`: what differs between two GGUF files. Exit status 1 when something does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...values.display_text import one_line
from ..options.shared_options import MODEL_HELP, add_json_option
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.sentences import page_columns
from ..screen.table import Column, table_lines
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.diff import Difference, MetadataChange, TensorChange

DIFFERENT = 1  # as diff(1) has it

_COLUMNS = (
    Column("TENSOR", least=30),
    Column("TYPE", least=12, gap=1),
    *(Column(heading, least=8, right=True, gap=1) for heading in ("MAX ABS", "RMS", "REL RMS", "COSINE")),
)
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("diff", help=SUMMARIES["diff"])
    parser.description = (
        "List the metadata that differs and how far apart the weights are, the worst tensor first. "
        "Exit status 0 when all is equal, 1 when not."
    )
    parser.add_argument("a", metavar="A", help=f"the reference: {MODEL_HELP}")
    parser.add_argument("b", metavar="B", help="what is compared with it")
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.diff import diff_models

    found = diff_models(args.a, args.b, ConsoleProgress())
    print(json.dumps(found.as_json(), indent=1) if args.json else "\n".join(difference_lines(found)))
    return GOOD if found.is_equal else DIFFERENT


def difference_lines(difference: Difference) -> Iterator[str]:
    """Metadata first, then tensors; control characters are gone."""
    for change in difference.metadata:
        yield from _metadata_lines(change)
    if difference.metadata and difference.tensors:
        yield ""
    if difference.tensors:
        yield from table_lines(_COLUMNS, map(_tensor_row, difference.tensors))
        yield ""
    total = difference.equal_tensors + len(difference.tensors)
    yield f"differ: {len(difference.metadata)} metadata keys, {len(difference.tensors)} of {total} tensors"


def _metadata_lines(change: MetadataChange) -> Iterator[str]:
    sign, columns = _SIGNS[change.kind], page_columns()
    if change.before is None or change.after is None:
        yield one_line(f"{sign} {change.key}: {change.before or change.after or ''}", columns)
        return
    yield one_line(f"{sign} {change.key}", columns)
    yield "    " + one_line(change.before, columns - 4)
    yield " -> " + one_line(change.after, columns - 4)


def _tensor_row(change: TensorChange) -> tuple[str, ...]:
    error = change.error
    if error is None:
        what = {"added": f"only in B: {change.after}", "removed": f"only in A: {change.before}"}
        words = what.get(change.kind) or change.note or f"{change.before} -> {change.after}"
        return change.name, words
    types = dict.fromkeys(text.split(" ", 1)[0] for text in (change.before, change.after))
    return (
        change.name,
        ">".join(types),
        f"{error.max_abs:.3g}",
        f"{error.rms:.3g}",
        f"{error.relative_rms:.2%}" if not error.not_finite else "NaN",
        f"{error.cosine:.5f}",
    )
