"""Drawing a Picture with matplotlib: the only place that imports it. No window, no global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.patches import Patch

from ...memory import Held, MemoryPlan
from ...values.units import ByteUnits
from .picture_file import check_picture, save_picture
from .picture_style import INK, PALE_INK, count_bytes, new_figure, picture_bytes, text_box
from .plan_picture import Picture, Segment, label_levels, picture_of

if TYPE_CHECKING:
    from ..plan_check import Measured

_SIZE_INCHES = (10.0, 4.0)
_COLOURS = {
    Held.ANONYMOUS: ("#2f5d8c", "#41749f"),  # neighbours take turns
    Held.LOCKED: ("#c2661a", "#d67f36"),
    Held.FILE: ("#2e8b74", "#49a08a"),
    Held.FLASH: ("#eceae4", "#eceae4"),
}
_MEANINGS = {
    Held.ANONYMOUS: "anonymous: stays",
    Held.LOCKED: "file pages, locked: stay",
    Held.FILE: "file pages: the kernel may drop them",
    Held.FLASH: "on flash, not in memory",
}
_BUDGET = "#b3261e"
_BAR, _LEVEL = 0.62, 0.2  # heights; a planned bar stands at 1, a measured one at 0
_PLANNED_Y, _MEASURED_Y = 1.0, 0.05
_NAME_SIZE, _SMALL_SIZE = 9, 8.5


def draw_plan(plan: MemoryPlan, path: Path, measured: Measured | None = None) -> None:
    """Raises OptionInvalid as check_picture() does, and for a path that cannot be written."""
    check_picture(path)
    save_picture(picture_bytes(draw(picture_of(plan, measured)), path.suffix), path)


def draw(picture: Picture) -> Any:
    """The figure."""
    figure = new_figure(_SIZE_INCHES, picture.title, picture.subtitle)
    width = 0.58 if picture.flash else 0.7  # labels of the last parts go on to the right of it
    memory = figure.add_axes((0.115, 0.19, width, 0.645))
    _draw_memory(memory, picture)
    if picture.flash:
        flash = figure.add_axes((0.735, 0.19, 0.235, 0.645), sharey=memory, facecolor="none")
        _draw_flash(flash, picture)
    _draw_legend(figure, picture)
    return figure


def _draw_memory(axes: Any, picture: Picture) -> None:
    total = sum(segment.size_bytes for segment in picture.planned)
    measured = sum(segment.size_bytes for segment in picture.measured)
    near = picture.budget_bytes if picture.budget_bytes and picture.budget_bytes <= 1.6 * total else 0
    axes.set_xlim(0, 1.03 * max(total, measured, near))
    axes.set_ylim(-0.42 if picture.measured else -0.15, 2.62)
    rows = [(_PLANNED_Y, picture.planned_label)]
    rows += [(_MEASURED_Y, picture.measured_label)] if picture.measured else []
    axes.set_yticks([y for y, _ in rows], [label for _, label in rows], fontsize=9, color=INK)
    _bare(axes, picture.byte_units)
    outside = _draw_bar(axes, picture, picture.planned, _PLANNED_Y, near)
    _draw_bar(axes, picture, picture.measured, _MEASURED_Y, near)
    _draw_outside(axes, picture, outside)
    if picture.budget_bytes:
        _draw_budget(axes, picture, picture.budget_bytes, is_near=bool(near))


def _bare(axes: Any, units: ByteUnits, most_ticks: int = 6) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALE_INK)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5, colors=PALE_INK)
    count_bytes(axes, units, most_ticks=most_ticks)


def _draw_bar(
    axes: Any, picture: Picture, segments: Sequence[Segment], y: float, line_at: float
) -> list[tuple[float, Segment]]:
    """The middle and the segment for each label that found no room inside."""
    outside = []
    left = 0
    for index, segment in enumerate(segments):
        colour = _COLOURS[segment.held][index % 2]
        axes.barh(y, segment.size_bytes, _BAR, left=left, color=colour, edgecolor="white", linewidth=1)
        right = left + segment.size_bytes
        size = picture.size_text(segment.size_bytes)
        if not _write_inside(axes, segment.name, size, _clear_of(left, right, line_at), y):
            outside.append(((left + right) / 2, segment))
        left = right
    return outside


def _clear_of(left: float, right: float, line_at: float) -> tuple[float, float]:
    """The larger part of a segment that the budget's line cuts in two."""
    if not left < line_at < right:
        return left, right
    return (left, line_at) if line_at - left > right - line_at else (line_at, right)


def _write_inside(axes: Any, name: str, size: str, place: tuple[float, float], y: float) -> bool:
    """Whether there was room, with the name on one line or on several."""
    lines = [f"{name}\n{size}", "\n".join([*name.split(" "), size])]
    middle, room = sum(place) / 2, _pixels(axes, place[1]) - _pixels(axes, place[0]) - 16
    height = _BAR * axes.bbox.height / (axes.get_ylim()[1] - axes.get_ylim()[0]) - 6
    style = {"ha": "center", "va": "center", "fontsize": _NAME_SIZE, "linespacing": 1.15}
    for text in lines:
        written = axes.text(middle, y, text, color="white", zorder=3, **style)
        box = text_box(axes, written)
        if box.width <= room and box.height <= height:
            return True
        written.remove()
    return False


def _draw_outside(axes: Any, picture: Picture, outside: Sequence[tuple[float, Segment]]) -> None:
    """Labels above the bar, each with a line down to its segment."""
    words = [f"{segment.name}  {picture.size_text(segment.size_bytes)}" for _, segment in outside]
    texts = [axes.text(0, 0, word, fontsize=_SMALL_SIZE, color=INK, va="center") for word in words]
    widths = [text_box(axes, text).width for text in texts]
    starts = [_pixels(axes, middle) for middle, _ in outside]
    levels = label_levels(starts, widths, gap=24)
    step = min(_LEVEL, (axes.get_ylim()[1] - _PLANNED_Y - _BAR / 2 - 0.25) / max([*levels, 1]))
    for (middle, segment), text, level in zip(outside, texts, levels, strict=True):
        y = _PLANNED_Y + _BAR / 2 + 0.16 + level * step
        colour = _COLOURS[segment.held][0]
        axes.plot([middle, middle], [_PLANNED_Y + _BAR / 2, y + 0.07], color=colour, linewidth=1.2)
        text.set_position((middle, y))
        text.set_x(axes.transData.inverted().transform((_pixels(axes, middle) + 10, 0))[0])


def _draw_budget(axes: Any, picture: Picture, budget_bytes: int, *, is_near: bool) -> None:
    if is_near:
        low = -0.42 if axes.get_yticks().size > 1 else _PLANNED_Y - _BAR / 2 - 0.28
        axes.plot(
            [budget_bytes] * 2, [low, _PLANNED_Y + _BAR / 2 + 0.04], color=_BUDGET, linewidth=1.8, zorder=4
        )
    word = f"budget {picture.size_text(budget_bytes)}" + ("" if is_near else " →")
    at = budget_bytes if is_near else axes.get_xlim()[1]
    shift = -6 if is_near else 0
    axes.annotate(
        word,
        (at, (_PLANNED_Y + _MEASURED_Y) / 2),
        (shift, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=9,
        fontweight="bold",
        color=_BUDGET,
    )


def _draw_flash(axes: Any, picture: Picture) -> None:
    """At a scale of its own: a table on flash may be larger than everything in memory."""
    segments = picture.flash
    total = sum(segment.size_bytes for segment in segments)
    axes.set_xlim(0, total * 1.02)
    _bare(axes, picture.byte_units, most_ticks=3)
    axes.tick_params(axis="y", labelleft=False)
    axes.set_xlabel("on flash, at a scale of its own", fontsize=8.5, color=PALE_INK)
    axes.plot([0, 0], [_PLANNED_Y - 0.45, _PLANNED_Y + 0.37], color=INK, linewidth=2, clip_on=False)
    left, y = 0, _PLANNED_Y
    for segment in segments:
        colour = _COLOURS[Held.FLASH][0]
        style = {"color": colour, "hatch": "////", "edgecolor": "#b9b5aa", "linewidth": 0.8}
        axes.barh(y, segment.size_bytes, _BAR, left=left, **style)
        left += segment.size_bytes
    for row, segment in enumerate(segments):
        words = f"{segment.name}  {picture.size_text(segment.size_bytes)}"
        at = y - _BAR / 2 - 0.2 - 0.2 * row
        axes.text(0.03 * total, at, words, fontsize=_SMALL_SIZE, color=INK, va="center")


def _draw_legend(figure: Any, picture: Picture) -> None:
    shown = {segment.held for segment in (*picture.planned, *picture.measured, *picture.flash)}
    patches = [
        Patch(
            facecolor=_COLOURS[held][0],
            label=meaning,
            hatch="////" if held is Held.FLASH else None,
            edgecolor="#b9b5aa" if held is Held.FLASH else _COLOURS[held][0],
        )
        for held, meaning in _MEANINGS.items()
        if held in shown
    ]
    figure.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0.1, 0.005), ncols=4, frameon=False, fontsize=9
    )


def _pixels(axes: Any, value: float) -> float:
    return float(axes.transData.transform((value, 0))[0])
