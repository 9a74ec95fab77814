"""Rows of logits: distributions of the next token, and the distance between two.

A row is kept relative to its highest logit, which is 0 then: nothing overflows. Numbers
have 32 bits, sums over the vocabulary 64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends.backend import Float32Array

_LOWEST = np.float32(-1e4)  # stands for minus infinity, which some models give to tokens that never come
_STORED_RANGE = np.float32(40.0)  # what is less likely than e^-40 of the likeliest is stored as that
_CODES = 65535


def relative(logits: Float32Array) -> Float32Array | None:
    """(vocabulary,) -> (vocabulary,), 0 for the likeliest token. None when the logits are not numbers."""
    highest = logits.max()
    if not np.isfinite(highest):  # comparisons with NaN give NaN
        return None
    row: Float32Array = np.maximum(logits - highest, _LOWEST)
    return row


def log_total(row: Float32Array) -> float:
    """What a relative row is short of log-probabilities."""
    return float(np.log(np.exp(row).sum(dtype=np.float64)))


@dataclass(frozen=True)
class StoredRow:
    """A relative row in 16 bits a token, evenly spaced.

    Off by 0.0003 at most. Both rows are made to sum up to 1 before they are compared, so that what
    is left of it in a divergence is of second order: 3e-8 at most between a row and itself. Floats
    of 16 bits would be off by 0.004 at -10, and 32 bits would take a gigabyte for four chunks of
    512 tokens of a vocabulary of 262,144.
    """

    codes: NDArray[np.uint16]  # (vocabulary,)
    step: np.float32

    @classmethod
    def of(cls, row: Float32Array) -> StoredRow:
        lowest = max(row.min(), -_STORED_RANGE)
        step = np.float32(lowest / -_CODES) if lowest < 0 else np.float32(1.0)
        scaled = np.maximum(row / step + np.float32(_CODES), np.float32(0.0))
        return cls(np.rint(scaled).astype(np.uint16), step)

    def row(self) -> Float32Array:
        numbers = self.codes.astype(np.float32)
        numbers -= np.float32(_CODES)
        numbers *= self.step
        return numbers


def divergence(reference: Float32Array, candidate: Float32Array) -> float:
    """Kullback-Leibler divergence of two relative rows, in nats: sum of p * (log p - log q).

    Source: llama.cpp at 0c1e57098, tools/perplexity/perplexity.cpp, kl_divergence; which leaves
    out tokens less likely than e^-16.
    """
    weights = np.exp(reference)  # (vocabulary,) p, times its total
    total = float(weights.sum(dtype=np.float64))
    weights *= reference - candidate
    apart = float(weights.sum(dtype=np.float64)) / total
    return max(apart - float(np.log(total)) + log_total(candidate), 0.0)  # rounding may take it below
