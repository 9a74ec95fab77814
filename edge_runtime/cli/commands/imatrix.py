"""`edge-runtime imatrix`: which columns of a model's weights a text really uses, for quantize."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ...values.display_text import clean
from ...values.units import format_bytes
from ..options.reading_options import add_reading_options, read_text, reading_numbers
from ..options.shared_options import add_json_option, add_model_argument, add_output_file
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.imatrix import ImportanceMatrix

_ABOUT = (
    "Let a model read a text and write down how strongly each column of its layers' weights is used: an "
    "importance matrix, for `edge-runtime quantize --imatrix` or llama.cpp's own llama-quantize. "
    "Best made from the unquantized file, with a text of the kind that the model will see."
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("imatrix", help=SUMMARIES["imatrix"])
    parser.description = _ABOUT
    add_model_argument(parser)
    add_reading_options(parser, chunks="all that the text has")
    add_output_file(parser, "importance matrix to write", metavar="OUT")
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.imatrix import compute_imatrix

    found = compute_imatrix(
        args.model,
        read_text(args),
        args.path,
        dataset=args.text.name,  # not its folder: llama-quantize writes it into the new model
        force=args.force,
        progress=ConsoleProgress(),
        **reading_numbers(args),
    )
    size_bytes = args.path.stat().st_size
    if args.json:
        print(json.dumps({**found.as_json(), "size_bytes": size_bytes}, indent=1))
    else:
        print(clean(format_imatrix(found, size_bytes)))
    return GOOD


def format_imatrix(found: ImportanceMatrix, size_bytes: int) -> str:
    lines = [
        f"{found.path}: {len(found.uses)} weights, {found.chunks} x {found.chunk_tokens} tokens "
        f"of {', '.join(found.datasets)}, {format_bytes(size_bytes)}"
    ]
    if found.unused_matrices:
        lines.append(f"{found.unused_matrices} experts were never called: a longer text would call more")
    return "\n".join(lines)
