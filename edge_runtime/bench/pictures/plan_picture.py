"""A plan as a picture: one bar for the planned bytes, another for the measured ones.

What to draw is decided here in plain values; plan_canvas.py does it with matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ...memory import Held, MemoryPlan
from ...values.units import ByteUnits, format_bytes

if TYPE_CHECKING:
    from ..plan_check import Measured

_LEAST_SHARE, _LEAST_FLASH_SHARE = 0.025, 0.05  # of a bar: smaller parts are "other"
_ORDER = (Held.ANONYMOUS, Held.LOCKED, Held.FILE)


@dataclass(frozen=True)
class Segment:
    """A piece of a bar."""

    name: str
    size_bytes: int
    held: Held


@dataclass(frozen=True)
class Picture:
    title: str
    subtitle: str
    planned: tuple[Segment, ...]  # in memory, in the order of a bar
    measured: tuple[Segment, ...]  # empty: not measured
    flash: tuple[Segment, ...]
    budget_bytes: int | None
    byte_units: ByteUnits
    planned_label: str
    measured_label: str

    def size_text(self, size_bytes: int) -> str:
        return format_bytes(size_bytes, self.byte_units)


# --- what to draw ------------------------------------------------------------------------


def picture_of(plan: MemoryPlan, measured: Measured | None = None) -> Picture:
    choices = plan.choices
    in_memory = [Segment(p.name, p.size_bytes, p.held) for p in plan.parts if p.held is not Held.FLASH]
    on_flash = [Segment(p.name, p.size_bytes, p.held) for p in plan.parts if p.held is Held.FLASH]
    return Picture(
        title=f"{_shortened(choices.file or 'model', 48)} in memory: {_verdict(plan)}",
        subtitle=(
            f"{choices.context_tokens} tokens of context, {choices.kv_type.value} keys and values, "
            f"micro-batch {choices.micro_batch_tokens}, repack {'on' if choices.repack else 'off'}"
        ),
        planned=grouped(in_memory, _LEAST_SHARE),
        measured=_measured_segments(measured) if measured else (),
        flash=grouped(on_flash, _LEAST_FLASH_SHARE),
        budget_bytes=plan.budget_bytes,
        byte_units=plan.byte_units,
        planned_label=f"planned\n{plan.size_text(plan.total_bytes)}",
        measured_label=_measured_label(measured, plan) if measured else "",
    )


def grouped(segments: Iterable[Segment], least_share: float) -> tuple[Segment, ...]:
    """By how they are held, largest first; what is small becomes "other", one for each kind."""
    listed = [segment for segment in segments if segment.size_bytes]
    least_bytes = least_share * sum(segment.size_bytes for segment in listed)
    order = [*_ORDER, Held.FLASH]
    listed.sort(key=lambda segment: (order.index(segment.held), -segment.size_bytes))
    found: list[Segment] = []
    for held, kind in groupby(listed, key=lambda segment: segment.held):
        parts = list(kind)
        small = [part for part in parts if part.size_bytes < least_bytes]
        found += [part for part in parts if part not in small] if len(small) > 1 else parts
        if len(small) > 1:
            found.append(Segment(f"{len(small)} others", sum(part.size_bytes for part in small), held))
    return tuple(found)


def _verdict(plan: MemoryPlan) -> str:
    if plan.budget_bytes is None:
        return plan.size_text(plan.total_bytes)
    word = "fits" if plan.fits else "does not fit"
    return f"{plan.size_text(plan.total_bytes)}, {word} {plan.size_text(plan.budget_bytes)}"


def _measured_segments(measured: Measured) -> tuple[Segment, ...]:
    found = measured.found
    locked_bytes = min(found.locked_bytes, found.file_bytes)
    sizes = (found.anonymous_bytes, locked_bytes, found.file_bytes - locked_bytes)
    names = ("anonymous", "locked", "file-backed")
    return tuple(
        Segment(name, size, held) for name, size, held in zip(names, sizes, _ORDER, strict=True) if size
    )


def _measured_label(measured: Measured, plan: MemoryPlan) -> str:
    tokens = measured.task.prompt_tokens + measured.task.answer_tokens
    size = plan.size_text(measured.total_bytes)
    return f"measured\n{size}\n({tokens} tokens:\nplan {measured.error:+.1%})"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


# --- labels that do not fit into their segment ---------------------------------------------


def label_levels(starts: Sequence[float], widths: Sequence[float], gap: float) -> list[int]:
    """How high each label above a bar has to be, 0 the lowest.

    Each label begins at its leader (`starts`, ascending) and goes right. No label covers
    another, and no leader crosses a label.
    """
    levels: list[int] = [0] * len(starts)
    for i in reversed(range(len(starts))):
        end = starts[i] + widths[i] + gap
        covered = [levels[j] for j in range(i + 1, len(starts)) if starts[j] - gap < end]
        levels[i] = max(covered, default=-1) + 1
    return levels
