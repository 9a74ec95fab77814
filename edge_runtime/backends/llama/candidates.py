"""Cutting the tokens that can win out of a row of logits.

At 262,144 tokens of vocabulary llama.cpp's chain spends 1.4 ms a token on
copying and sorting a table of all of them. Almost none can be drawn: with
top-k 64 exactly 64 can. These functions find a superset of those in 0.1 ms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...values.records import SamplingOptions
from ..backend import Float32Array

Int64Array = NDArray[np.int64]

_SMALL_VOCABULARY = 8192
_MOST_BLOCKS = 4096
_SAMPLE_TOKENS = 4096
_MOST_FOUND = 30  # times top_k; more, and the cut is useless
_UP, _DOWN = np.float32(0.05), np.float32(0.9)  # steps of the cut; one row in twenty finds too few
_sum = np.add.reduce  # an array's own methods go through Python first


class CandidateFinder:
    """Finds, row after row, the ids of every token that `sampling` could draw.

    With top-k the cut comes from the rows before: so far above the row's level that
    a few times k tokens should be kept. Right after a decode the caches are cold: each
    numpy call costs 10 to 40 microseconds, and whichever looks at all logits first 60.
    So the level is the mean of a few thousand logits. The k-th largest stays closer to it
    (a deviation of 1.1 with SmolLM2, 1.4 with Gemma 3) than to the highest (2.6, 3.0), or
    to the k-th of the row before (7.5, 4.4). Only where too few are found is the row
    searched properly.
    """

    def __init__(self, sampling: SamplingOptions) -> None:
        self._sampling, self._count = sampling, sampling.top_k
        self._above = np.float32(1e30)  # of the row's level; no guess yet
        self._mask = np.empty(0, np.bool_)
        self._share = np.float32(0)  # one sampled token's, of the mean

    def find(self, logits: Float32Array) -> Int64Array:
        """(n,) -> ids; none when the logits are not numbers. Penalties have been applied already.

        In the order in which llama.cpp's chain would hold them, which decides what
        a random number lands on.
        """
        count, sampling = self._count, self._sampling
        if count > 0:
            return self._find_top(logits, count)
        if sampling.top_p < 1:
            return nucleus_ids(logits, sampling.top_p)
        if sampling.min_p > 0:
            # A hair more than min-p asks for: llama.cpp makes the exact cut itself.
            return np.flatnonzero(logits >= logits.max() + np.float32(np.log(sampling.min_p)) - 1e-3)
        return np.arange(len(logits)) if not np.isnan(logits.max()) else np.arange(0)

    def _find_top(self, logits: Float32Array, count: int) -> Int64Array:
        if len(self._mask) != len(logits):
            self._mask = np.empty(len(logits), np.bool_)
            self._share = np.float32(1 / min(len(logits), _SAMPLE_TOKENS))
        level = _sum(logits[:_SAMPLE_TOKENS]) * self._share
        # Into an array of our own: a new one of 262,144 bytes means fresh pages each time.
        np.greater_equal(logits, level + self._above, self._mask)
        ids: Int64Array = self._mask.nonzero()[0]
        if count <= len(ids) <= _MOST_FOUND * count:
            self._above += _UP
            return ids
        too_few = len(ids) < count
        ids = top_ids(logits, count)
        if len(ids) and np.isfinite(level):  # no ids when the logits are not numbers
            exact = logits[ids].min() - level
            self._above = min(exact, self._above - _DOWN) if too_few else exact
        return ids


def top_ids(logits: Float32Array, count: int) -> Int64Array:
    """(vocabulary,) -> ids, ascending, of the `count` largest; a few more where values tie or crowd.

    The logits are folded into blocks (columns); the count-th largest of the
    blocks' maxima is a floor below which no token can be among the first
    `count`, and only the columns that reach it need a second look.
    """
    blocks = _block_count(len(logits), count)
    if blocks == 0:
        return _top_ids_by_partition(logits, count)
    rows = len(logits) // blocks
    folded = logits[: rows * blocks].reshape(rows, blocks)
    maxima = folded.max(axis=0)  # (blocks,)
    floor = np.partition(maxima, blocks - count)[blocks - count]
    columns = np.flatnonzero(maxima >= floor)
    row, column = np.divmod(np.flatnonzero(folded.take(columns, axis=1) >= floor), len(columns))
    ids = row * blocks + columns[column]
    rest = np.flatnonzero(logits[rows * blocks :] >= floor) + rows * blocks  # what the fold left over
    return np.concatenate((ids, rest)) if len(rest) else ids


def _block_count(size: int, count: int) -> int:
    """A power of two, at least four times `count`; 0 when folding would not pay."""
    if size < _SMALL_VOCABULARY:
        return 0
    blocks = 1024
    while blocks < _MOST_BLOCKS and blocks * 32 < size:
        blocks *= 2
    return blocks if count * 4 <= blocks else 0


def _top_ids_by_partition(logits: Float32Array, count: int) -> Int64Array:
    if count >= len(logits):
        return np.arange(len(logits))
    floor = np.partition(logits, len(logits) - count)[len(logits) - count]
    return np.flatnonzero(logits >= floor)


def nucleus_ids(logits: Float32Array, top_p: float) -> Int64Array:
    """Ids of the likeliest tokens that together reach `top_p` of all probability, likeliest first."""
    weights = np.exp(logits - logits.max())  # (vocabulary,)
    goal = top_p * float(weights.sum(dtype=np.float64))
    for count in (256, 4096, len(weights)):
        ids = top_ids(logits, min(count, len(weights)))
        if not len(ids):  # comparisons with NaN are all false
            return ids
        order = np.argsort(-weights[ids], kind="stable")
        reached = np.cumsum(weights[ids][order], dtype=np.float64)
        if reached[-1] >= goal:
            break
    last = int(np.searchsorted(reached, goal))
    kept: Int64Array = ids[order[: last + 1]]
    return kept


def penalize(logits: Float32Array, recent: dict[int, int], sampling: SamplingOptions) -> None:
    """Lower the logits of recently seen tokens in place, by llama.cpp's rule.

    `recent` maps token id to how often it stands in the penalty window. A positive
    logit is divided by repeat_penalty and a negative one multiplied; then
    count * frequency_penalty + presence_penalty is taken off.
    Source: llama.cpp src/llama-sampler.cpp, llama_sampler_penalties_apply, 0c1e57098.
    """
    if not recent:
        return
    ids = np.fromiter(recent.keys(), np.int64, len(recent))
    counts = np.fromiter(recent.values(), np.float32, len(recent))
    repeat = np.float32(sampling.repeat_penalty)
    values = logits[ids]
    values = np.where(values <= 0, values * repeat, values / repeat)
    logits[ids] = (
        values - counts * np.float32(sampling.frequency_penalty) - np.float32(sampling.presence_penalty)
    )
