"""Running sums over all scored positions of one model, and the figures they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends.backend import Float32Array

from .rows import divergence, log_total


@dataclass(frozen=True)
class Mean:
    value: float
    error: float  # standard error: how far another text of the same kind may be off

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> Mean:
        count = len(numbers)
        return cls(float(numbers.mean()), float(numbers.std(ddof=1) / count**0.5) if count > 1 else 0.0)


@dataclass(frozen=True)
class Divergence:
    """Of a model's next-token distributions from the reference's: Kullback-Leibler, in nats."""

    mean: Mean
    median: float
    percentile_99: float
    maximum: float
    top1_agreement: float  # share of positions with the same likeliest token

    def as_json(self) -> dict[str, float]:
        return {
            "mean": self.mean.value,
            "mean_error": self.mean.error,
            "median": self.median,
            "percentile_99": self.percentile_99,
            "maximum": self.maximum,
        }


class Tally:
    """One model's. Positions come one after another."""

    def __init__(self, positions: int) -> None:
        self._surprises = np.zeros(positions)  # -log of the probability of the token that came
        self._tops = np.zeros(positions, np.int64)
        self._divergences = np.zeros(positions)
        self._count = 0

    def add(self, row: Float32Array, came: int, reference: Float32Array | None = None) -> None:
        """`row` and `reference`: (vocabulary,) relative; `came`: the token that the text has next."""
        at = self._count
        self._surprises[at] = log_total(row) - float(row[came])
        self._tops[at] = row.argmax()
        if reference is not None:
            self._divergences[at] = divergence(reference, row)
        self._count = at + 1

    def perplexity(self) -> Mean:
        """e to the mean surprise; the error to first order, as llama.cpp's tool gives it.

        Infinite for a model that is wrong beyond what a float can say.
        """
        surprise = Mean.of(self._surprises)
        with np.errstate(over="ignore"):
            value = float(np.exp(surprise.value))
        return Mean(value, value * surprise.error)

    def divergence_from(self, reference: Tally) -> Divergence:
        found = self._divergences
        return Divergence(
            Mean.of(found),
            float(np.median(found)),
            float(np.percentile(found, 99)),
            float(found.max()),
            float(np.mean(self._tops == reference._tops)),
        )
