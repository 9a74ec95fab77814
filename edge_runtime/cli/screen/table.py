"""Tables on a screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...values.display_text import flat, padded, shortened, text_columns
from .sentences import page_columns

_LEAST_SHORTENED = 8  # a column that is narrower says nothing


@dataclass(frozen=True)
class Column:
    heading: str = ""
    least: int = 0  # how wide it is at least
    right: bool = False  # its cells end at the same place, as numbers do
    gap: int = 2  # spaces before it


def table_lines(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, width: int | None = None
) -> list[str]:
    """The headings, if there are any, and a line for each row; none is wider than `width`.

    width: default the terminal's, 80 without one. A column is as wide as its widest cell; where
    the line becomes too long, the widest texts are cut and end in an ellipsis. Cells are cleaned.
    The last cell of a row with fewer cells than there are columns goes on to the end of its line.
    """
    width = width or page_columns()
    cells = [[flat(cell) for cell in row] for row in rows]
    widths = _widths(columns, cells, width)
    heads = [column.heading for column in columns]
    shown = [heads, *cells] if any(heads) else cells
    return [_line(columns, widths, row, width) for row in shown]


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    whole = [row for row in rows if len(row) == len(columns)]
    parts = [row[:-1] for row in rows if len(row) < len(columns)]
    widths = [max(column.least, text_columns(column.heading)) for column in columns]
    for row in (*whole, *parts):
        for place, cell in enumerate(row):
            widths[place] = max(widths[place], text_columns(cell))
    texts = [place for place, column in enumerate(columns) if not column.right]
    excess = sum(widths) + sum(column.gap for column in columns[1:]) - width
    for _ in range(excess):
        widest = max(texts, key=lambda place: widths[place], default=0)
        if columns[widest].right or widths[widest] <= _LEAST_SHORTENED:
            break
        widths[widest] -= 1
    return widths


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str], width: int) -> str:
    line = ""
    for place, cell in enumerate(row):
        line += " " * (columns[place].gap if place else 0)
        if place == len(row) - 1 < len(columns) - 1:
            line += cell
        else:
            line += padded(shortened(cell, widths[place]), widths[place], right=columns[place].right)
    return shortened(line.rstrip(), width)
