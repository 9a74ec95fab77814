"""`edge-runtime synth`: a model with a real shape and random weights, for measuring memory and speed."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ...values.units import format_bytes
from ..options.model_options import number_option
from ..options.shared_options import MODEL_HELP, add_json_option, add_output_file
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.table import Column, table_lines
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.synth import Written

_ABOUT = (
    "Write a GGUF file with a model's real shape and random weights. It loads, takes the memory and runs "
    "at the speed of the real one, and talks nonsense. "
    "A shape is a name, or a JSON file like those in tools/edge_tools/synth/shapes."
)
_CLASSES = {
    "body": ("Q4_0", "attention and feed-forward matrices"),
    "embedding": ("Q6_K", "the token embedding"),
    "output": ("Q6_K", "the output matrix, where it is not the embedding"),
    "ple": ("Q8_0", "per-layer embeddings"),
    "other": ("Q8_0", "gates and projections of per-layer embeddings"),
    "untouched": ("F32", "what llama-quantize leaves alone: AltUp, LAuReL"),
}

_COLUMNS = (
    Column("CLASS", least=10),
    Column("TYPE", least=7),
    Column("TENSORS", right=True),
    Column("SIZE", least=9, right=True),
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("synth", help=SUMMARIES["synth"])
    parser.description = _ABOUT
    parser.add_argument(
        "shape", metavar="SHAPE", help="such as gemma-3n-e2b, or a JSON file; a wrong name lists all"
    )
    add_output_file(parser, "GGUF file to write")
    for name, (default, text) in _CLASSES.items():
        option = "--output-type" if name == "output" else f"--{name}"
        parser.add_argument(
            option,
            dest=f"{name}_type",
            default=default,
            metavar="TYPE",
            help=f"type of {text} (default: {default})",
        )
    parser.add_argument(
        "--scale", metavar="S", help="size of everything, such as 0.1 for a tenth (default: 1)"
    )
    parser.add_argument("--seed", metavar="N", help="the same seed gives the same file (default: 0)")
    parser.add_argument(
        "--tokenizer", metavar="MODEL", help=f"{MODEL_HELP}, whose tokenizer to use (default: gemma-3-270m)"
    )
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.synth import Quantizations, scaled, shape_named, write_model

    types = Quantizations.named(**{name: getattr(args, f"{name}_type") for name in _CLASSES})
    scale = number_option(args, "scale", float)
    shape = scaled(shape_named(args.shape), 1.0 if scale is None else scale)
    written = write_model(
        args.path,
        shape,
        types,
        seed=number_option(args, "seed", int) or 0,
        tokenizer=args.tokenizer,
        force=args.force,
        progress=ConsoleProgress(),
    )
    print(json.dumps(written.as_json(), indent=1) if args.json else format_written(written))
    return GOOD


def format_written(written: Written) -> str:
    """The table of classes, and a last line about the whole file."""
    rows = [
        (row.kind.value, row.type.name, f"{row.tensors}", format_bytes(row.size_bytes))
        for row in written.classes
    ]
    lines = table_lines(_COLUMNS, rows)
    about = f"{written.parameters / 1e6:,.0f} million random numbers, {written.size_bytes:,} bytes"
    return "\n".join([*lines, f"{written.path}: {about}"])
