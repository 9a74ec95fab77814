"""The report: Markdown for people, JSON beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..kept_report import KeptReport, markdown_table, read_earlier, read_origin
from ..table import format_table
from .part import Part


@dataclass
class Report(KeptReport):
    order: Sequence[str]  # names of parts
    parts: dict[str, Part] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add_earlier(self, path: Path) -> None:
        """The parts of a report that was written before, if there is one, and where they come from."""
        origin = read_origin(path)
        for found in read_earlier(path, "parts"):
            if found["name"] in self.order:
                part = Part.from_json(found)
                self.parts[part.name] = replace(part, origin=part.origin or origin)

    @property
    def good(self) -> bool:
        """Every goal was looked at, and none is missed."""
        return not self.skipped and all(row.good for part in self.parts.values() for row in part.rows)

    def tables(self) -> str:
        return "\n\n".join([*map(self._section, self._in_order()), *self._skipped_lines()])

    def markdown(self) -> str:
        how = "Live is against a simulated clock: the sound's own time, plus what the work takes."
        return f"{self.heading('Speech', 'clips')}\n\n{how} {self._verdict()}\n\n{self.tables()}\n"

    def contents(self) -> dict[str, Any]:
        return {"parts": [part.as_json() for part in self._in_order()], "skipped": self.skipped}

    def _verdict(self) -> str:
        missed = [row.what for part in self._in_order() for row in part.rows if not row.good]
        said = [f"**Missed:** {'; '.join(missed)}."] if missed else []
        said += [f"**Not measured:** {', '.join(self.skipped)}."] if self.skipped else []
        return " ".join(said) or "**Every goal is met.**"

    def _in_order(self) -> list[Part]:
        return [self.parts[name] for name in self.order if name in self.parts]

    def _section(self, part: Part) -> str:
        table = f"\n\n{markdown_table(part.table)}" if part.table else ""
        origin = f"\n\nMeasured {part.origin}." if part.origin else ""
        return f"## {part.name}\n\n{part.how}{origin}\n\n```\n{format_table(part.rows)}\n```{table}"

    def _skipped_lines(self) -> list[str]:
        return [f"{name} was skipped: {reason}" for name, reason in self.skipped.items()]
