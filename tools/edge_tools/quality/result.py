"""The result of a quality measurement, as values and as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tally import Divergence, Mean


@dataclass(frozen=True)
class ModelQuality:
    path: Path
    size_bytes: int  # of all its files
    bits_per_weight: float  # metadata and padding are not counted
    perplexity: Mean
    divergence: Divergence | None  # None: it is the reference

    def as_json(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "bits_per_weight": round(self.bits_per_weight, 4),
            "perplexity": _finite(self.perplexity.value),
            "perplexity_error": _finite(self.perplexity.error),
        }
        if self.divergence is not None:
            result["kl_divergence_nats"] = self.divergence.as_json()
            result["top1_agreement"] = self.divergence.top1_agreement
        return result


def _finite(number: float) -> float | None:
    """JSON knows no infinity."""
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Quality:
    reference: ModelQuality
    models: tuple[ModelQuality, ...]  # in the order in which they were given
    context_tokens: int  # of a chunk
    chunks: int
    scored_tokens: int  # in all chunks together: of each, the second half

    def as_json(self) -> dict[str, Any]:
        return {
            "context_tokens": self.context_tokens,
            "chunks": self.chunks,
            "scored_tokens": self.scored_tokens,
            "reference": self.reference.as_json(),
            "models": [model.as_json() for model in self.models],
        }
