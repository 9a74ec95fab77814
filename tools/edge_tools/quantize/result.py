"""The result of `quantize`: the file that was made, or would be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.gguf.header import GgufHeader
from edge_runtime.memory import Budget, MemoryPlan

from ..inspect import Inspection
from .decide import Tried


@dataclass(frozen=True, eq=False)
class Quantized:
    source: GgufHeader
    inspection: Inspection  # of the new file; of a split set as if it were one
    paths: tuple[Path, ...]  # one, or a split set
    file_bytes: tuple[int, ...]  # of each of them
    budget: Budget
    recipe: str | None
    tried: tuple[Tried, ...]  # rows of the recipe, the chosen one last
    kept: int  # tensors that the recipe would have made larger than they are
    notes: tuple[str, ...]  # what a person should know: what was lost, what was not done
    dry_run: bool

    @property
    def size_bytes(self) -> int:
        return sum(self.file_bytes)

    @property
    def plan(self) -> MemoryPlan | None:
        return self.inspection.plan

    def as_json(self) -> dict[str, Any]:
        """These keys are a promise; others may join them."""
        return {
            "source": str(self.source.path),
            "source_bytes": self.source.file_size_bytes,
            "paths": [str(path) for path in self.paths],
            "file_bytes": list(self.file_bytes),
            "size_bytes": self.size_bytes,
            "bits_per_weight": round(self.inspection.bits_per_weight, 4),
            "classes": [size.as_json() for size in self.inspection.classes],
            "recipe": self.recipe,
            "tried": [one.as_json() for one in self.tried],
            "kept": self.kept,
            "plan": self.plan.as_json() if self.plan else None,
            "problem": self.inspection.problem,
            "notes": list(self.notes),
            "dry_run": self.dry_run,
        }
