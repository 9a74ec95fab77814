"""Planned and measured side by side, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...values.units import ByteUnits, format_bytes

if TYPE_CHECKING:
    from ...bench.plan_check import Comparison, Measured


def measured_lines(measured: Measured, units: ByteUnits) -> Iterator[str]:
    """A table, no line longer than 80 characters."""
    task = measured.task
    yield f"Measured in a child process: {task.prompt_tokens} + {task.answer_tokens} random tokens"
    if not measured.as_planned:
        yield "It chose other settings than the plan: what it could spare has changed."
    yield _row("HELD", "PLANNED*", "MEASURED", "ERROR")
    yield from (
        _compared(group, units) for group in measured.groups if group.planned_bytes or group.measured_bytes
    )
    yield ""
    yield _row("PART", "PLANNED", "MEASURED", "ERROR")
    yield from (_compared(part, units) for part in measured.parts)
    yield "* with so many tokens. KV cache and buffers: what llama.cpp allocates in full."


def _compared(row: Comparison, units: ByteUnits) -> str:
    planned, measured = (format_bytes(size, units) for size in (row.planned_bytes, row.measured_bytes))
    return _row(row.name, planned, measured, f"{row.error:+.1%}")


def _row(name: str, planned: str, measured: str, error: str) -> str:
    return f"{name:<30}{planned:>10}{measured:>11}{error:>9}"
