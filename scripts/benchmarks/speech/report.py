"""The report: Markdown for people, JSON beside it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..table import format_table
from .part import Part


@dataclass
class Report:
    machine: str
    command: Sequence[str]
    order: Sequence[str]  # names of parts
    quick: bool
    parts: dict[str, Part] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now().strftime("%Y-%m-%d %H:%M"))

    def add_earlier(self, path: Path) -> None:
        """The parts of a report that was written before, if there is one."""
        path = path.with_suffix(".json")
        for found in json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else ():
            if found["name"] in self.order:
                self.parts[found["name"]] = Part.from_json(found)

    @property
    def good(self) -> bool:
        """No goal missed. What was skipped misses none."""
        return all(row.good for part in self.parts.values() for row in part.rows)

    def tables(self) -> str:
        return "\n\n".join([*map(self._section, self._in_order()), *self._skipped_lines()])

    def markdown(self) -> str:
        missed = [row.what for part in self._in_order() for row in part.rows if not row.good]
        verdict = f"**Missed:** {'; '.join(missed)}." if missed else "**Every goal is met.**"
        quick = "\n\nA rehearsal with few clips (--quick): the figures mean little." if self.quick else ""
        command = f"{self.date}, last command: `{shlex.join(self.command)}`"
        how = "Live is against a simulated clock: the sound's own time, plus what the work takes."
        return f"# Speech\n\n{self.machine}  \n{command}{quick}\n\n{how} {verdict}\n\n{self.tables()}\n"

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.markdown(), encoding="utf-8")
        everything = {
            "machine": self.machine,
            "date": self.date,
            "command": list(self.command),
            "quick": self.quick,
            "parts": [part.as_json() for part in self._in_order()],
            "skipped": self.skipped,
        }
        path.with_suffix(".json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")

    def _in_order(self) -> list[Part]:
        return [self.parts[name] for name in self.order if name in self.parts]

    def _section(self, part: Part) -> str:
        table = f"\n\n{_markdown_table(part.table)}" if part.table else ""
        return f"## {part.name}\n\n{part.how}\n\n```\n{format_table(part.rows)}\n```{table}"

    def _skipped_lines(self) -> list[str]:
        return [f"{name} was skipped: {reason}" for name, reason in self.skipped.items()]


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["-"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
