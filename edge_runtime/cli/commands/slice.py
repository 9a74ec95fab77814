"""`edge-runtime slice`: the smaller Gemma 3n that is inside a larger one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...values.display_text import clean
from ...values.units import format_bytes
from ..options.model_options import number_option
from ..options.shared_options import add_json_option, add_model_argument, add_output_file
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.table import Column, table_lines
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.slice import Sliced

_ABOUT = (
    "Cut a smaller model out of a MatFormer model, Gemma 3n: fewer layers, narrower feed-forwards. Weights "
    "keep their type and every bit. What llama.cpp could not load afterwards is refused."
)

_COLUMNS = (Column(least=12), Column("BEFORE", least=13, right=True), Column("AFTER", least=13, right=True))


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("slice", help=SUMMARIES["slice"])
    parser.description = _ABOUT
    add_model_argument(parser)
    add_output_file(parser, "GGUF file to write")
    parser.add_argument(
        "--to",
        metavar="e2b",
        help="e2b: E2B out of E4B, without layers 20-24 and with half of the feed-forward columns",
    )
    parser.add_argument(
        "--skip-layers",
        metavar="LAYERS",
        help="layers to leave out, such as 20-24 or 21,22,30; the first is 0 (default: none)",
    )
    parser.add_argument(
        "--ffn", metavar="COLUMNS", help="columns that each feed-forward keeps, such as 8192 (default: all)"
    )
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.slice import SliceOptions, parse_layers, slice_model

    skipped = parse_layers(args.skip_layers) if args.skip_layers is not None else ()
    options = SliceOptions(args.to, skipped, number_option(args, "ffn", int))
    sliced = slice_model(args.model, args.path, options, force=args.force, progress=ConsoleProgress())
    print(json.dumps(sliced.as_json(), indent=1) if args.json else "\n".join(sliced_lines(sliced)))
    return GOOD


def sliced_lines(sliced: Sliced) -> Iterator[str]:
    """A table, notes, and a last line about the file."""
    before, after = sliced.before, sliced.after
    rows = (
        ("layers", f"{before.layers}", f"{after.layers}"),
        ("feed-forward", f"{before.feed_forward:,}", f"{after.feed_forward:,}"),
        ("tensors", f"{before.tensors:,}", f"{after.tensors:,}"),
        ("parameters", f"{before.parameters:,}", f"{after.parameters:,}"),
        ("size", format_bytes(before.size_bytes), format_bytes(after.size_bytes)),
    )
    yield from table_lines(_COLUMNS, rows)
    for note in sliced.notes:
        yield f"note: {note}"
    yield clean(f"{sliced.path}: {after.size_bytes:,} bytes, out of {sliced.source.name}")
