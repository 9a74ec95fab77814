"""Tables of measured figures next to their goals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    what: str
    found: float
    unit: str
    most: float | None = None  # a bound that `found` should not pass
    least: float | None = None
    note: str = ""

    @property
    def good(self) -> bool:
        return (self.most is None or self.found <= self.most) and (
            self.least is None or self.found >= self.least
        )

    @property
    def goal(self) -> str:
        if self.most is not None:
            return f"<= {self.most:g}"
        return "" if self.least is None else f">= {self.least:g}"

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "found": self.found,
            "unit": self.unit,
            "goal": self.goal,
            "good": self.good,
        }


def format_table(rows: list[Row]) -> str:
    width = max(len(row.what) for row in rows)
    lines = []
    for row in rows:
        mark = "" if not row.goal else "ok" if row.good else "MISSED"
        figure = f"{row.found:>10.4g} {row.unit:<9}"
        lines.append(f"{row.what:<{width}}  {figure} {row.goal:<9} {mark:<6} {row.note}".rstrip())
    return "\n".join(lines)
