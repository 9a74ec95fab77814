"""Drawing a QualityPicture with matplotlib. No window, no global state."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, hypot, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...values.units import ByteUnits, format_bytes
from .picture_file import check_picture, save_picture
from .picture_style import INK, PALE_INK, count_bytes, new_figure, picture_bytes, text_box
from .quality_picture import Box, Point, QualityPicture, picture_of, place_labels

if TYPE_CHECKING:
    from edge_tools.quality import Quality

_SIZE_INCHES = (10.0, 5.6)
_DOT, _REFERENCE, _GRID = "#2f5d8c", "#c2661a", "#e7e9ec"
_DOT_POINTS, _LABEL_SIZE = 9.0, 9.5


def draw_quality(quality: Quality, path: Path) -> None:
    """Raises OptionInvalid as check_picture() does, and for a path that cannot be written."""
    check_picture(path)
    save_picture(picture_bytes(draw(picture_of(quality)), path.suffix), path)


def draw(picture: QualityPicture) -> Any:
    """The figure."""
    figure = new_figure(_SIZE_INCHES, picture.title, picture.subtitle)
    axes = figure.add_axes((0.1, 0.12, 0.87, 0.74))
    _set_scales(axes, picture)
    _style(axes)
    low = axes.get_ylim()[0]
    for point in picture.points:
        y = max(point.mean, low)
        face = _DOT if point.mean else "white"  # hollow: nothing to show on this scale
        style = {"markersize": _DOT_POINTS, "markeredgecolor": _DOT, "markerfacecolor": face}
        axes.plot([point.size_bytes], [y], "o", clip_on=False, zorder=4, **style)
    taken = _draw_reference(axes, picture)
    _draw_labels(axes, picture.points, taken)
    return figure


def _set_scales(axes: Any, picture: QualityPicture) -> None:
    sizes = [point.size_bytes for point in picture.points]
    if _is_near(picture):
        sizes.append(picture.reference_bytes)
    room = max(0.15 * (max(sizes) - min(sizes)), 0.03 * max(sizes))
    axes.set_xlim(max(min(sizes) - room, 0), max(sizes) + room)
    values = [point.mean for point in picture.points if point.mean] or [1e-3, 1e-1]
    axes.set_yscale("log")
    axes.set_ylim(10.0 ** floor(log10(min(values)) - 0.02), 10.0 ** ceil(log10(max(values)) + 0.02))


def _is_near(picture: QualityPicture) -> bool:
    """Or the models would crowd at one side, for the sake of a reference of F16."""
    return picture.reference_bytes <= 1.3 * max(point.size_bytes for point in picture.points)


def _style(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE_INK)
    axes.tick_params(axis="both", which="both", labelsize=8.5, colors=PALE_INK)
    axes.grid(True, which="major", color=_GRID, linewidth=0.8, zorder=0)
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _position: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    count_bytes(axes, ByteUnits.DECIMAL, most_ticks=7)
    axes.set_xlabel("size of the file", fontsize=9, color=PALE_INK)
    axes.set_ylabel("KL divergence, nats a token", fontsize=9, color=PALE_INK)


def _draw_reference(axes: Any, picture: QualityPicture) -> list[Box]:
    """Where no label may be."""
    is_near, size = _is_near(picture), format_bytes(picture.reference_bytes)
    at = picture.reference_bytes if is_near else axes.get_xlim()[1]
    drawn = []
    if is_near:
        drawn.append(axes.axvline(at, color=_REFERENCE, linewidth=1.4, linestyle=(0, (4, 3)), zorder=1))
    words = axes.annotate(
        f"reference {size}" + ("" if is_near else " →"),
        (at, 1.0),
        (-6 if is_near else 0, -4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=_LABEL_SIZE,
        color=_REFERENCE,
    )
    return [_extent(artist) for artist in (*drawn, words)]


def _draw_labels(axes: Any, points: Sequence[Point], taken: Sequence[Box]) -> None:
    words = [f"{point.label}  {point.mean:.2g}" if point.mean else f"{point.label}  0" for point in points]
    texts = [
        axes.text(0, 0, word, fontsize=_LABEL_SIZE, color=INK, transform=None, zorder=5) for word in words
    ]
    boxes = [text_box(axes, text) for text in texts]
    low = axes.get_ylim()[0]
    places = [tuple(axes.transData.transform((p.size_bytes, max(p.mean, low)))) for p in points]
    radius = _DOT_POINTS / 144 * axes.figure.dpi
    field = axes.get_window_extent()
    dots = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in places]
    found = place_labels(
        places,
        [(box.width, 1.2 * box.height) for box in boxes],
        [*dots, *taken],
        Box(field.x0, field.y0, axes.figure.bbox.x1, field.y1),
        gap=2 * radius,
    )
    for text, box, place in zip(texts, found, places, strict=True):
        text.set_position((box.left, box.bottom + 0.1 * (box.top - box.bottom)))
        _draw_leader(axes, box, place, 3 * radius)


def _draw_leader(axes: Any, box: Box, place: tuple[float, float], most: float) -> None:
    """A line from a label to its point, where it is not clear from the place."""
    x, y = min(max(place[0], box.left), box.right), min(max(place[1], box.bottom), box.top)
    if hypot(x - place[0], y - place[1]) > most:
        axes.plot([x, place[0]], [y, place[1]], color=PALE_INK, linewidth=0.7, transform=None, zorder=3)


def _extent(artist: Any) -> Box:
    box = artist.get_window_extent()
    return Box(box.x0, box.y0, box.x1, box.y1)
