"""`edge-runtime slice`: the smaller Gemma 3n that is inside a larger one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...values.display_text import clean
from ...values.units import format_bytes
from ..options.model_options import number_option
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.table import Column, table_lines

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.slice import Sliced

_ABOUT = (
    "Cut a smaller model out of a MatFormer model, Gemma 3n: fewer layers, narrower feed-forwards. Weights "
    "keep their type and every bit. What llama.cpp could not load afterwards is refused."
)

_COLUMNS = (Column(least=12), Column("BEFORE", least=13, right=True), Column("AFTER", least=13, right=True))


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("slice", help="a smaller Gemma 3n out of a larger one")
    parser.description = _ABOUT
    parser.add_argument("model", metavar="FILE|NAME")
    parser.add_argument("-o", "--output", dest="path", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--to", metavar="e2b", help="E2B out of E4B: without layers 20-24, half the feed-forward columns"
    )
    parser.add_argument(
        "--skip-layers", metavar="LAYERS", help="such as 20-24 or 21,22,30; the first layer is 0"
    )
    parser.add_argument("--ffn", metavar="COLUMNS", help="that each feed-forward keeps, such as 8192")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
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
