"""A memory plan as a person reads it: a table, sentences, and what was measured beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...values.display_text import one_line
from ...values.units import ByteUnits, format_bytes
from .option_words import option_words
from .sentences import page_columns, wrapped
from .table import Column, table_lines

if TYPE_CHECKING:
    from ...bench.plan_check import Comparison, Measured
    from ...memory import Budget, MemoryPlan

_NAME_COLUMNS = 29  # of the longest part's name
_PARTS = (
    Column("PART", least=_NAME_COLUMNS),
    Column("SIZE", least=9, right=True, gap=1),
    Column("HELD", least=9),
    Column(),
)


def plan_lines(plan: MemoryPlan, budget: Budget) -> list[str]:
    """A table and a few sentences."""
    title = f"{plan.choices.file or 'model'}, {plan.choices.context_tokens} tokens of context"
    return [
        one_line(title, page_columns()),
        *table_lines(_PARTS, _part_rows(plan)),
        "",
        *_verdict(plan, budget),
        "",
        *(line for sentence in plan.explanation for line in wrapped(option_words(sentence))),
    ]


def _part_rows(plan: MemoryPlan) -> Iterator[tuple[str, ...]]:
    for part in plan.parts:
        yield part.name, plan.size_text(part.size_bytes), part.held.value, part.detail
    detail = f"{plan.size_text(plan.anonymous_bytes)} anonymous, {plan.size_text(plan.file_bytes)} of files"
    yield "total in memory", plan.size_text(plan.total_bytes), detail


def _verdict(plan: MemoryPlan, budget: Budget) -> list[str]:
    if plan.budget_bytes is None:
        return wrapped(f"No budget: {option_words(budget.reason)}.")
    word, reason = "Fits" if plan.fits else "Does not fit", option_words(budget.reason)
    return [
        *wrapped(f"{word} the budget of {plan.size_text(plan.budget_bytes)} ({reason})."),
        *wrapped(
            f"The least that works is {plan.size_text(plan.minimum_bytes)}; "
            f"{plan.size_text(plan.comfortable_bytes)} works without streaming weights, "
            f"{plan.size_text(plan.full_speed_bytes)} at full speed."
        ),
    ]


def measured_lines(measured: Measured, units: ByteUnits) -> Iterator[str]:
    """Planned and measured side by side: by how memory is held, and part by part."""
    task = measured.task
    yield f"Measured in a child process: {task.prompt_tokens} + {task.answer_tokens} random tokens"
    if not measured.as_planned:
        yield "It chose other settings than the plan: what it could spare has changed."
    held = [group for group in measured.groups if group.planned_bytes or group.measured_bytes]
    yield from _compared("HELD", "PLANNED*", held, units)
    yield ""
    yield from _compared("PART", "PLANNED", measured.parts, units)
    yield "* with so many tokens. KV cache and buffers: what llama.cpp allocates in full."


def _compared(name: str, planned: str, found: Iterable[Comparison], units: ByteUnits) -> list[str]:
    columns = (
        Column(name, least=_NAME_COLUMNS),
        Column(planned, least=9, right=True),
        Column("MEASURED", least=9, right=True),
        Column("ERROR", least=7, right=True),
    )
    return table_lines(
        columns,
        (
            (
                row.name,
                format_bytes(row.planned_bytes, units),
                format_bytes(row.measured_bytes, units),
                f"{row.error:+.1%}",
            )
            for row in found
        ),
    )
