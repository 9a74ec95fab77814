"""`edge-runtime quality`: what quantization has cost, several files in one table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...bench.pictures.short_names import short_names
from ...values.units import format_bytes
from ..options.reading_options import add_reading_options, read_text, reading_numbers
from ..options.shared_options import MODEL_METAVAR, add_json_option, add_model_argument, add_plot_option
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.table import Column, table_lines
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.quality import ModelQuality, Quality

_ABOUT = (
    "Compare models with the one they were made from on a text: perplexity, how far their next-token "
    "distributions are from the reference's (Kullback-Leibler divergence, in nats), and how often both "
    "hold the same token for the likeliest. The text is cut into chunks; the second half of each is scored."
)
_NAME_COLUMNS = 28
_COLUMNS = (
    Column("FILE", least=_NAME_COLUMNS),
    Column("SIZE", least=9, right=True, gap=0),
    Column("BITS", least=5, right=True, gap=1),
    Column("PERPLEXITY", least=10, right=True, gap=1),
    Column("KL MEAN", least=8, right=True, gap=1),
    Column("KL 99 %", least=8, right=True, gap=1),
    Column("TOP-1", least=7, right=True, gap=1),
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("quality", help=SUMMARIES["quality"])
    parser.description = _ABOUT
    add_model_argument(parser, nargs="+")
    parser.add_argument(
        "--reference",
        required=True,
        metavar=MODEL_METAVAR,
        help="the model that they were made from, best in F16 or BF16",
    )
    add_reading_options(parser, chunks="8")
    add_json_option(parser)
    add_plot_option(parser, "draw size against divergence too")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.quality import DEFAULT_CHUNKS, measure_quality

    if args.plot is not None:
        from ...bench.pictures.picture_file import check_picture

        check_picture(Path(args.plot))
    numbers = reading_numbers(args)
    numbers["chunks"] = numbers["chunks"] or DEFAULT_CHUNKS
    quality = measure_quality(
        args.models, args.reference, read_text(args), progress=ConsoleProgress(), **numbers
    )
    print(json.dumps(quality.as_json(), indent=1) if args.json else "\n".join(quality_lines(quality)))
    if args.plot is not None:
        from ...bench.pictures.quality_canvas import draw_quality

        draw_quality(quality, Path(args.plot))
    return GOOD


def quality_lines(quality: Quality) -> Iterator[str]:
    """The reference first; control characters are gone."""
    names = short_names([quality.reference.path, *(model.path for model in quality.models)], _NAME_COLUMNS)
    models = (quality.reference, *quality.models)
    yield from table_lines(_COLUMNS, map(_model_row, names, models))
    yield (
        f"{quality.chunks} chunk{'s' * (quality.chunks > 1)} of {quality.context_tokens} tokens; "
        f"{quality.scored_tokens:,} scored, the second half of each."
    )
    error = _perplexity(quality.reference.perplexity.error)
    yield f"The first is the reference, +- {error} in perplexity. KL is in nats a token."


def _model_row(name: str, model: ModelQuality) -> tuple[str, ...]:
    found = model.divergence
    bits, size = f"{model.bits_per_weight:.2f}", format_bytes(model.size_bytes)
    perplexity = _perplexity(model.perplexity.value)
    if found is None:
        return name, size, bits, perplexity, "", "", ""
    mean, high = _divergence(found.mean.value), _divergence(found.percentile_99)
    return name, size, bits, perplexity, mean, high, f"{100 * found.top1_agreement:.1f} %"


def _perplexity(number: float) -> str:
    return f"{number:.2f}" if number < 1e6 else f"{number:.1e}"  # what a broken model has


def _divergence(nats: float) -> str:
    return f"{nats:.4f}" if nats < 100 else f"{nats:.3g}"
