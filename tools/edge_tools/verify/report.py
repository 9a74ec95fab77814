"""The findings of a verification, one line each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.errors import ModelError


@dataclass(frozen=True)
class Problem:
    where: str  # a tensor, a metadata key, or what was checked
    expected: str
    found: str
    offset_bytes: int | None = None  # in the file

    def __str__(self) -> str:
        at = f", byte {self.offset_bytes}" if self.offset_bytes is not None else ""
        return f"{self.where}{at}: expected {self.expected}, found {self.found}"

    def as_json(self) -> dict[str, object]:
        return {
            "where": self.where,
            "offset_bytes": self.offset_bytes,
            "expected": self.expected,
            "found": self.found,
        }


@dataclass
class Findings:
    """Grows while a file is checked."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, where: str, expected: str, found: str, offset_bytes: int | None = None) -> None:
        self.problems.append(Problem(where, expected, found, offset_bytes))

    def warning(self, where: str, expected: str, found: str, offset_bytes: int | None = None) -> None:
        self.warnings.append(Problem(where, expected, found, offset_bytes))


def problem_of(error: ModelError) -> Problem:
    """What a reader or a check of ours has raised, as a line of the report."""
    facts = error.facts
    where, offset = facts.get("key", "header"), facts.get("offset")
    return Problem(
        str(where),
        str(facts.get("expected", "a file that can be used")),
        str(facts.get("found", error)) if "expected" in facts else str(error),
        offset if isinstance(offset, int) else None,
    )


@dataclass(frozen=True)
class TensorResult:
    name: str
    type: str
    shape: tuple[int, ...]
    sha256: str
    blocks: int  # of one value each for F32, F16 and BF16
    zero_blocks: int  # whose scale, or value, is zero
    bad_blocks: int  # with a NaN or an infinity

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "type": self.type,
            "shape": list(self.shape),
            "sha256": self.sha256,
            "blocks": self.blocks,
            "zero_blocks": self.zero_blocks,
            "bad_blocks": self.bad_blocks,
        }


@dataclass(frozen=True)
class VerifyReport:
    path: Path
    checked: tuple[str, ...]  # what was looked at, in words
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]  # strange, but a sound model may have it
    tensors: tuple[TensorResult, ...]  # () when the header cannot be read

    @property
    def is_good(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Its "tensors" serve as a reference for a later verify."""
        return {
            "path": str(self.path),
            "good": self.is_good,
            "checked": list(self.checked),
            "problems": [problem.as_json() for problem in self.problems],
            "warnings": [warning.as_json() for warning in self.warnings],
            "tensors": [tensor.as_json() for tensor in self.tensors],
        }
