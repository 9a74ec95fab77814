"""A report that is kept: Markdown for people, JSON beside it, from which a later run goes on."""

from __future__ import annotations

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass
class KeptReport(ABC):
    machine: str
    command: Sequence[str]
    quick: bool
    date: str = field(default_factory=lambda: datetime.now().strftime("%Y-%m-%d %H:%M"), kw_only=True)

    @abstractmethod
    def markdown(self) -> str: ...

    @abstractmethod
    def contents(self) -> dict[str, Any]:
        """For the JSON, besides where it comes from."""

    def heading(self, title: str, few: str) -> str:
        """`few`: of what a quick run has too little."""
        quick = f"\n\nA rehearsal with few {few} (--quick): the figures mean little." if self.quick else ""
        command = f"{self.date}, last command: `{shlex.join(self.command)}`"
        return f"# {title}\n\n{self.machine}  \n{command}{quick}"

    def write(self, path: Path) -> None:
        """`path`, which ends in .md, and the same name with .json."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.markdown(), encoding="utf-8")
        origin = {
            "machine": self.machine,
            "date": self.date,
            "command": list(self.command),
            "quick": self.quick,
        }
        everything = json.dumps({**origin, **self.contents()}, indent=1) + "\n"
        path.with_suffix(".json").write_text(everything, encoding="utf-8")


def read_earlier(path: Path, key: str) -> list[dict[str, Any]]:
    """What `key` held in the JSON of a report that was written before; nothing if there is none."""
    path = path.with_suffix(".json")
    if not path.exists():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[key]
    return found


def read_origin(path: Path) -> str:
    """When and on which machine the report was measured that was written before; "" if there is none."""
    path = path.with_suffix(".json")
    if not path.exists():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    return f"{found['date']} on {found['machine']}"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """The heads first; padded so that it reads well in a terminal too."""
    cells = [[cell.replace("|", "/").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [cells[0], ["-" * width for width in widths], *cells[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
