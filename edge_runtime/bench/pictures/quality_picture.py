"""Size against divergence as a picture: one point a model.

What to draw is decided here in plain values; quality_canvas.py does it with matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from ...values.display_text import one_line
from .short_names import short_names

if TYPE_CHECKING:
    from edge_tools.quality import ModelQuality, Quality

_SMALLEST = 1e-6  # nats; what is less is the rounding of the measurement
_LABEL_COLUMNS = 24


@dataclass(frozen=True)
class Point:
    label: str
    size_bytes: int
    mean: float  # nats; 0: none at all


@dataclass(frozen=True)
class QualityPicture:
    title: str
    subtitle: str
    points: tuple[Point, ...]
    reference_bytes: int


def picture_of(quality: Quality) -> QualityPicture:
    reference, models = quality.reference, quality.models
    labels = short_names([model.path for model in models], _LABEL_COLUMNS)
    return QualityPicture(
        title=f"Size against distance from {one_line(reference.path.name, 48)}",
        subtitle=(
            "mean KL divergence of the next token's distribution, "
            f"over {quality.scored_tokens:,} tokens of text; further down is closer"
        ),
        points=tuple(_point(label, model) for label, model in zip(labels, models, strict=True)),
        reference_bytes=reference.size_bytes,
    )


def _point(label: str, model: ModelQuality) -> Point:
    mean = model.divergence.mean.value if model.divergence else 0.0
    return Point(label.lstrip("…"), model.size_bytes, mean if mean >= _SMALLEST else 0.0)


# --- where the labels go -------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """In pixels, upwards and to the right."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.top <= other.bottom or other.top <= self.bottom)

    def is_inside(self, other: Box) -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    taken: Sequence[Box],
    field: Box,
    gap: float,
) -> list[Box]:
    """A box of each size beside its point: inside the field, on nothing that is taken, on no other label.

    The nearest free place counts, right and left before above and below. Where there is none,
    the right: labels may then cover each other.
    """
    placed: list[Box] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        choices = [
            Box(left, bottom, left + width, bottom + height)
            for step, left in product(range(12), (x + gap, x - gap - width))
            for bottom in (y - height / 2 + step * height / 2, y - height / 2 - step * height / 2)
        ]
        free = [
            box for box in choices if box.is_inside(field) and not any(map(box.overlaps, [*taken, *placed]))
        ]
        placed.append(free[0] if free else choices[0])
    return placed
