"""The style that all pictures share. No window, no global state. Needs matplotlib."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from ...values.units import ByteUnits, format_bytes, unit_for

INK, PALE_INK = "#22262b", "#6b7280"
_DPI = 200  # shown at half the size, sharp on a dense screen


def new_figure(size_inches: tuple[float, float], title: str, subtitle: str) -> Any:
    """White, with a title; lines are as far from the upper edge as in a picture 4 inches high."""
    figure = Figure(figsize=size_inches, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    inch = 1 / size_inches[1]
    figure.text(0.02, 1 - 0.22 * inch, title, fontsize=12.5, fontweight="bold", color=INK, va="center")
    figure.text(0.02, 1 - 0.46 * inch, subtitle, fontsize=9.5, color=PALE_INK, va="center")
    return figure


def picture_bytes(figure: Any, ending: str) -> bytes:
    """The figure as a file of that kind: ".png", ".svg"."""
    file = BytesIO()
    figure.savefig(file, format=ending[1:].lower(), dpi=_DPI)
    return file.getvalue()


def count_bytes(axes: Any, units: ByteUnits, *, most_ticks: int) -> None:
    """Ticks of the horizontal axis at round sizes, in the unit of its right end. Its limits are set."""
    low, high = axes.get_xlim()
    factor = unit_for(high, units)[1]
    ticks = MaxNLocator(most_ticks).tick_values(low / factor, high / factor)
    axes.xaxis.set_major_locator(FixedLocator([tick * factor for tick in ticks]))
    axes.xaxis.set_major_formatter(lambda value, _: format_bytes(value, units) if value else "0")


def text_box(axes: Any, text: Any) -> Any:
    """Where a text is, in pixels."""
    return text.get_window_extent(axes.figure.canvas.get_renderer())
