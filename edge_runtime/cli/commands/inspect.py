"""`edge-runtime inspect`: what is in a GGUF file."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...values.display_text import one_line, padded, text_columns
from ...values.units import ByteUnits, format_bytes
from ..options.shared_options import add_json_option, add_model_argument
from ..screen.exit_status import GOOD
from ..screen.sentences import page_columns, wrapped
from ..screen.table import Column, table_lines
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.inspect import ClassSize, Inspection, TypeSize

    from ...gguf.types import TensorInfo

_CLASSES = (
    Column("CLASS", least=10),
    Column("TYPE", least=9, gap=1),
    Column("TENSORS", least=8, right=True, gap=1),
    Column("WEIGHTS", least=17, right=True, gap=1),
    Column("SIZE", least=11, right=True, gap=1),
    Column("BITS/WEIGHT", least=13, right=True, gap=1),
)
_TENSORS = (Column("TENSOR"), Column("TYPE"), Column("SIZE", right=True), Column("SHAPE"))
_KEY_COLUMNS = 40  # a longer key makes its value start later
_HOLDS_TOGETHER = "\N{NO-BREAK SPACE}"
_MODEL_COLUMNS = 66  # a command that is longer is not cut off: it would be another one
_SHOWN_APART = ("name", "architecture", "parameters")  # facts that the first lines give


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("inspect", help=SUMMARIES["inspect"])
    parser.description = (
        "Show metadata, weights by class with their bits per weight, and what the model would hold in "
        "memory. Only the file's header is read."
    )
    add_model_argument(parser)
    parser.add_argument(
        "--tensors", action="store_true", help="list every tensor too (default: classes of weights only)"
    )
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from edge_tools.inspect import inspect_model

    inspection = inspect_model(args.model)
    if args.json:
        print(json.dumps(inspection.as_json(with_tensors=args.tensors), indent=1))
    else:
        print("\n".join(inspection_lines(inspection, args.model, with_tensors=args.tensors)))
    return GOOD


def inspection_lines(inspection: Inspection, model: str, *, with_tensors: bool) -> Iterator[str]:
    """Everything, the most important first; control characters are gone."""
    yield from _about(inspection)
    yield ""
    yield from class_table(inspection)
    yield ""
    yield from memory_lines(inspection, model)
    yield ""
    yield "METADATA"
    from edge_tools.metadata_text import value_text

    for key, value in inspection.header.metadata.items():
        yield _pair(key, value_text(value))
    if with_tensors:
        yield ""
        yield from table_lines(_TENSORS, map(_tensor_row, inspection.tensors))


def _about(inspection: Inspection) -> Iterator[str]:
    header, facts = inspection.header, inspection.facts
    parts = f" in {len(header.paths)} files" if len(header.paths) > 1 else ""
    size = f"{format_bytes(header.file_size_bytes)}{parts}, GGUF {header.version}"
    yield f"{one_line(header.path.name, page_columns() - len(size) - 2)}: {size}"
    name = f"{facts['name']}: " if "name" in facts else ""
    yield one_line(f"{name}{facts['architecture']}, {_count(inspection.elements)} weights", page_columns())
    rest = [
        f"{name.replace('_', ' ')} {one_line(str(fact), 40)}".replace(" ", _HOLDS_TOGETHER)
        for name, fact in facts.items()
        if name not in _SHOWN_APART
    ]
    yield from wrapped(", ".join(rest))


def _count(elements: int) -> str:
    return f"{elements:,}" if elements < 1_000_000 else f"{elements / 1e6:,.1f} million"


def class_table(inspection: Inspection) -> list[str]:
    return table_lines(_CLASSES, _class_rows(inspection))


def _class_rows(inspection: Inspection) -> Iterator[tuple[str, ...]]:
    units = inspection.byte_units
    for size in inspection.classes:
        is_mixed = len(size.types) > 1
        yield _size_row(size.kind.value, "mixed" if is_mixed else size.types[0].type.name, size, units)
        for part in size.types if is_mixed else ():
            yield _size_row("", part.type.name, part, units)
    total = f"{inspection.bits_per_weight:.2f}"
    weights, size_text = f"{inspection.elements:,}", format_bytes(inspection.tensor_bytes, units)
    yield "all", "", str(len(inspection.tensors)), weights, size_text, total


def _size_row(kind: str, type_name: str, size: ClassSize | TypeSize, units: ByteUnits) -> tuple[str, ...]:
    weights, bits = f"{size.elements:,}", f"{size.bits_per_weight:.2f}"
    return kind, type_name, str(size.tensors), weights, format_bytes(size.size_bytes, units), bits


def memory_lines(inspection: Inspection, model: str) -> Iterator[str]:
    plan = inspection.plan
    if plan is None:
        yield from wrapped(f"No memory plan: {inspection.problem}")
        return
    estimate = "" if plan.certain else ", estimated"
    yield from wrapped(
        f"Memory: {plan.size_text(plan.total_bytes)} with {plan.context_tokens} tokens of context"
        f"{estimate}; {plan.size_text(plan.minimum_bytes)} is the least that works."
    )
    command = one_line(f"edge-runtime plan {shlex.quote(model)}", _MODEL_COLUMNS)
    yield f"Part by part: {command if len(command) < _MODEL_COLUMNS else 'edge-runtime plan FILE'}"


def _pair(key: str, value: str) -> str:
    columns = page_columns()
    shown = padded(one_line(key, columns - 20) + " ", _KEY_COLUMNS)
    return shown + one_line(value, columns - text_columns(shown))


def _tensor_row(tensor: TensorInfo) -> tuple[str, ...]:
    shape = " x ".join(map(str, tensor.shape))
    return tensor.name, tensor.type.name, format_bytes(tensor.size_bytes), shape
