"""`edge-runtime synth`: a model with a real shape and random weights, for measuring memory and speed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...values.units import format_bytes
from ..options.model_options import number_option
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.table import Column, table_lines

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
    parser = commands.add_parser("synth", help="write a model with random weights, to measure with")
    parser.description = _ABOUT
    parser.add_argument("shape", metavar="SHAPE", help="such as gemma-3n-e2b; a wrong name lists all")
    parser.add_argument("-o", "--output", dest="path", type=Path, required=True, metavar="FILE")
    for name, (default, text) in _CLASSES.items():
        option = "--output-type" if name == "output" else f"--{name}"
        parser.add_argument(
            option, dest=f"{name}_type", default=default, metavar="TYPE", help=f"{text}; default {default}"
        )
    parser.add_argument("--scale", metavar="S", help="0.1: a tenth of everything; default 1")
    parser.add_argument("--seed", metavar="N", help="the same seed gives the same file; default 0")
    parser.add_argument("--tokenizer", metavar="MODEL", help="name or GGUF file; default gemma-3-270m")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
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
