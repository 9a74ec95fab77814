"""What an open model holds, against its plan: one line after an answer, a table on request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...values.units import format_bytes

if TYPE_CHECKING:
    from ...memory import MemoryPlan
    from ...runtime.runtime import Runtime
    from ...values.records import MemoryUsage, Reply

_COLUMNS = 80
_MIB, _GIB = 2**20, 2**30


def memory_line(runtime: Runtime, reply: Reply | None) -> str:
    """At most 80 columns: resident now, of the budget; and what each token of the answer read anew."""
    usage = runtime.memory_usage()
    optional = []
    if usage.ple_resident_bytes:
        optional.append(f", {_short(usage.ple_resident_bytes)} rows")
    if reply is not None:
        optional.append(f"; read {_short(round(reply.timings.reread_bytes_per_token))}/token")
    line = f"[memory {_held(usage)}"
    for text in optional:
        line += text if len(line) + len(text) < _COLUMNS else ""
    return line + "]"


def _held(usage: MemoryUsage) -> str:
    """One unit for all: 1.63/1.86 GiB: 1.15 anonymous, 0.48 files"""
    total_bytes = usage.anonymous_bytes + usage.file_bytes
    if not total_bytes:
        return "is not told by this system"
    unit_bytes, unit, digits = (_GIB, "GiB", 2) if total_bytes >= 1000 * _MIB else (_MIB, "MiB", 0)

    def size(size_bytes: int) -> str:
        return f"{size_bytes / unit_bytes:.{digits}f}"

    budget = "" if usage.budget_bytes is None else f"/{size(usage.budget_bytes)}"
    kinds = f"{size(usage.anonymous_bytes)} anonymous, {size(usage.file_bytes)} files"
    return f"{size(total_bytes)}{budget} {unit}: {kinds}"


def _short(size_bytes: int) -> str:
    """Without decimals: 12 KB"""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.0f} {unit}"
    return f"{size_bytes} B"


def memory_report(runtime: Runtime, reply: Reply | None) -> str:
    """The plan's parts and how each is held, and the line."""
    return "\n".join([*_parts(runtime.plan), "", memory_line(runtime, reply)])


def _parts(plan: MemoryPlan) -> Iterator[str]:
    yield _row("PLANNED PART", "SIZE", "HELD")
    for part in plan.parts:
        yield _row(part.name, format_bytes(part.size_bytes), part.held.value)
    yield _row("in memory", format_bytes(plan.total_bytes), "")


def _row(name: str, size: str, held: str) -> str:
    return f"{name:<30}{size:>10}  {held}".rstrip()
