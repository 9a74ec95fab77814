"""The values of a comparison. A is the reference, B is compared with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class MetadataChange:
    key: str
    before: str | None  # in words; None: A has no such key
    after: str | None

    @property
    def kind(self) -> str:
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    def as_json(self) -> dict[str, object]:
        return {"key": self.key, "kind": self.kind, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class TensorError:
    """How far B's weights are from A's."""

    max_abs: float
    rms: float
    relative_rms: float  # over A's root mean square; infinite where A is all zeros
    cosine: float  # of the two as vectors; 0 where one is all zeros
    not_finite: int = 0  # weights that are NaN or infinite in either; left out of the rest

    def as_json(self) -> dict[str, object]:
        numbers = {
            "max_abs": self.max_abs,
            "rms": self.rms,
            "relative_rms": self.relative_rms,
            "cosine": self.cosine,
        }
        known = {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}
        return {**known, "not_finite": self.not_finite}


@dataclass(frozen=True)
class TensorChange:
    name: str
    kind: str  # "added", "removed", "shape", "type" or "values"
    before: str  # "Q4_0 of 64 x 32"; "" when A has no such tensor
    after: str
    error: TensorError | None = None  # None: there is nothing to subtract
    note: str = ""  # why there is no error, where shapes are the same

    @property
    def badness(self) -> tuple[int, int, float, str]:
        """The higher, the worse: what cannot be compared, then what is no number, then by error."""
        if self.error is None:
            return 2, 0, 0.0, self.name
        return 1, self.error.not_finite, self.error.relative_rms, self.name

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
            "error": self.error.as_json() if self.error else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class Difference:
    a: Path
    b: Path
    metadata: tuple[MetadataChange, ...]  # by key
    tensors: tuple[TensorChange, ...]  # worst first
    equal_tensors: int  # same type, shape and bytes

    @property
    def is_equal(self) -> bool:
        return not self.metadata and not self.tensors

    def as_json(self) -> dict[str, Any]:
        return {
            "a": str(self.a),
            "b": str(self.b),
            "equal": self.is_equal,
            "metadata": [change.as_json() for change in self.metadata],
            "tensors": [change.as_json() for change in self.tensors],
            "equal_tensors": self.equal_tensors,
        }
