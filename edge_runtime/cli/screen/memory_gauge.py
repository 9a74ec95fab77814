"""The memory of an open model against its plan: one line after an answer, a table on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...values.units import ByteUnits, format_alike, format_bytes
from .sentences import PIPE_COLUMNS
from .table import Column, table_lines

if TYPE_CHECKING:
    from ...runtime.runtime import Runtime
    from ...values.records import MemoryUsage, Reply

_PARTS = (Column("PLANNED PART", least=29), Column("SIZE", least=10, right=True, gap=1), Column("HELD"))


def memory_line(runtime: Runtime, reply: Reply | None) -> str:
    """At most 80 columns: resident now, of the budget; and what each token of the answer read anew."""
    usage, units = runtime.memory_usage(), runtime.plan.byte_units
    optional = []
    if usage.ple_resident_bytes:
        optional.append(f", {format_bytes(usage.ple_resident_bytes, units, digits=2)} rows")
    if reply is not None:
        reread_bytes = reply.timings.reread_bytes_per_token
        optional.append(f"; read {format_bytes(reread_bytes, units, digits=2)}/token")
    line = f"[memory {_held(usage, units)}"
    for text in optional:
        line += text if len(line) + len(text) < PIPE_COLUMNS else ""
    return line + "]"


def _held(usage: MemoryUsage, units: ByteUnits) -> str:
    """One unit for all: 1.75/2.00 GB: 1.23 anonymous, 0.52 files"""
    total_bytes = usage.anonymous_bytes + usage.file_bytes
    if not total_bytes:
        return "is not told by this system"
    sizes = [total_bytes, usage.anonymous_bytes, usage.file_bytes]
    sizes += [] if usage.budget_bytes is None else [usage.budget_bytes]
    (total, anonymous, files, *budget), unit = format_alike(sizes, units)
    return f"{'/'.join([total, *budget])} {unit}: {anonymous} anonymous, {files} files"


def memory_report(runtime: Runtime, reply: Reply | None) -> str:
    """The plan's parts and how each is held, and the line."""
    plan = runtime.plan
    rows = [(part.name, plan.size_text(part.size_bytes), part.held.value) for part in plan.parts]
    rows.append(("in memory", plan.size_text(plan.total_bytes), ""))
    return "\n".join([*table_lines(_PARTS, rows), "", memory_line(runtime, reply)])
