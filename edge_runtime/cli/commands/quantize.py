"""`edge-runtime quantize`: a GGUF file in smaller types."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...values.checks import parse_count
from ...values.display_text import clean
from ...values.units import byte_units_of, format_bytes, parse_bytes
from ..options.shared_options import add_json_option, add_model_argument, add_output_file, add_threads_option
from ..screen.exit_status import GOOD
from ..screen.plan_report import plan_lines
from ..screen.progress_bar import ConsoleProgress
from ..screen.sentences import wrapped
from ..screen.table import Column, table_lines
from . import SUMMARIES
from .inspect import class_table, memory_lines

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.quantize import Quantized, QuantizeOptions

_ABOUT = (
    "Write a GGUF file's weights in other types, with llama.cpp's own quantizer. --type says what the whole "
    "file becomes; --recipe chooses for each class of weights so that the model fits the memory it will run "
    "in. What is said of a class comes before both. F32, F16 or BF16 files make the best sources."
)
_TYPES = "F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_K_S, Q4_1, Q4_0, IQ4_NL"
_CLASSES = {
    "body": "attention and feed-forward matrices (default: as --type or --recipe says)",
    "embedding": "the token embedding, often the output matrix too (default: likewise)",
    "ple": "per-layer embeddings (default: likewise)",
    "output": "a separate output matrix (default: likewise)",
    "other": "the projections of per-layer embeddings (default: likewise)",
}
_RECIPES = "recipes"  # stands for their table, which is imported when somebody wants to read it


class _HelpWithRecipes(argparse.RawDescriptionHelpFormatter):
    def add_text(self, text: str | None) -> None:
        super().add_text(_recipes() if text is _RECIPES else text)


def _recipes() -> str:
    from edge_tools.quantize.recipes import describe

    return "\n".join(describe())


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "quantize",
        help=SUMMARIES["quantize"],
        description="\n".join(wrapped(_ABOUT, indent="")),
        formatter_class=_HelpWithRecipes,
        epilog=_RECIPES,
    )
    add_model_argument(parser)
    add_output_file(parser, "GGUF file to write (needed without --dry-run)", required=False)
    whole = parser.add_mutually_exclusive_group(required=True)
    whole.add_argument("--type", metavar="TYPE", help=f"one type for the whole file: {_TYPES}")
    whole.add_argument(
        "--recipe",
        metavar="NAME",
        help="types chosen by class: edge-2gb (or any size), or speech; listed below",
    )
    for name, text in _CLASSES.items():
        option = "--output-type" if name == "output" else f"--{name}"
        parser.add_argument(option, dest=f"{name}_type", metavar="TYPE", help=f"type of {text}")
    parser.add_argument(
        "--imatrix",
        type=Path,
        metavar="FILE",
        help="importance matrix that `edge-runtime imatrix` wrote (default: none)",
    )
    parser.add_argument(
        "--split", metavar="SIZE", help="write several files, none larger than SIZE (default: one file)"
    )
    parser.add_argument(
        "--budget", metavar="SIZE", help="memory that the result must fit, such as 2GB (default: no limit)"
    )
    parser.add_argument(
        "--context", metavar="N", help="tokens of context to plan that memory for (default: 4096)"
    )
    add_threads_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the result, write nothing")
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.quantize import quantize

    made = quantize(args.model, args.path, _options(args), ConsoleProgress())
    if args.json:
        print(json.dumps(made.as_json(), indent=1))
    else:
        print("\n".join(quantized_lines(made)))
    return GOOD


def _options(args: argparse.Namespace) -> QuantizeOptions:
    from edge_tools.quantize import QuantizeOptions

    return QuantizeOptions(
        type=args.type,
        recipe=args.recipe,
        **{name: getattr(args, f"{name}_type") for name in _CLASSES},
        imatrix=args.imatrix,
        split_bytes=parse_bytes(args.split, option="split") if args.split else None,
        budget_bytes=parse_bytes(args.budget) if args.budget else None,
        context_tokens=parse_count(args.context, "context"),
        threads=parse_count(args.threads, "threads"),
        byte_units=byte_units_of(args.budget, args.split),
        dry_run=args.dry_run,
        force=args.force,
    )


def quantized_lines(made: Quantized) -> Iterator[str]:
    """Weights by class; which row of a recipe, and why; what it would hold in memory; the size."""
    yield from class_table(made.inspection)
    if made.recipe:
        yield ""
        yield from _tried(made)
    yield ""
    if made.plan and made.dry_run:
        yield from plan_lines(made.plan, made.budget)
    else:
        yield from memory_lines(made.inspection, str(made.paths[0]))
    yield ""
    yield from _sizes(made)


def _tried(made: Quantized) -> Iterator[str]:
    units = made.inspection.byte_units
    columns = (
        Column(str(made.recipe), least=12),
        *(Column(name.upper(), least=max(len(name), 6)) for name in _CLASSES),
        Column("AT FULL SPEED", least=16, right=True),
    )
    rows = [
        (
            "taken" if one is made.tried[-1] else "too large",
            *(one.types[name] for name in _CLASSES),
            format_bytes(one.full_speed_bytes, units),
        )
        for one in made.tried
    ]
    yield from table_lines(columns, rows)
    yield f"Why: {made.tried[-1].reason}."
    if made.kept:
        yield f"{made.kept} tensors keep the smaller type they have: growing gives nothing back."


def _sizes(made: Quantized) -> Iterator[str]:
    units = made.inspection.byte_units
    before, after = made.source.file_size_bytes, made.size_bytes
    files = f" in {len(made.paths)} files" if len(made.paths) > 1 else ""
    yield clean(
        f"{made.paths[0]}: {format_bytes(after, units)}{files} ({after:,} bytes), "
        f"{made.inspection.bits_per_weight:.2f} bits per weight; before, {format_bytes(before, units)}"
        + (" (nothing was written)" if made.dry_run else "")
    )
