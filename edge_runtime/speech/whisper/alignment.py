"""Times of tokens, from the attention that some of the decoder's heads pay to the sound.

Source of the method: openai/whisper, whisper/timing.py, find_alignment: attention over the sound's own
positions, normalized over the tokens, smoothed along time, averaged over the heads; then the path of
greatest weight through it, forward in both directions (dynamic time warping).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

POSITIONS_PER_S = 50
_MEDIAN_WIDTH = 7  # positions


def token_times(attention: NDArray[np.float32], duration_s: float) -> NDArray[np.float64]:
    """(heads, tokens, positions) -> (tokens,) start of each in seconds, never falling.

    Row i is the attention of the step that chose token i. Attention after the sound's
    end is left out.
    """
    positions = min(attention.shape[2], max(1, round(duration_s * POSITIONS_PER_S)))
    if not attention.shape[1]:
        return np.zeros(0)
    weights = np.zeros((attention.shape[1], positions), np.float32)
    for head in attention:  # one at a time: all together they would take 40 MB for a long piece
        weights += _sharpen(head[:, :positions])
    return _first_positions(weights) / POSITIONS_PER_S


def attended_s(rows: Sequence[NDArray[np.float32]], duration_s: float) -> float:
    """(heads, positions) of each token -> the middle of the places that most attention is paid to."""
    positions = max(1, round(duration_s * POSITIONS_PER_S))
    places = [int(row[:, :positions].mean(axis=0).argmax()) for row in rows]
    return float(np.median(places)) / POSITIONS_PER_S


def _sharpen(attention: NDArray[np.float32]) -> NDArray[np.float32]:
    """One head's, (tokens, positions)."""
    sums = attention.sum(axis=1, keepdims=True)
    shares = attention / np.maximum(sums, np.finfo(np.float32).tiny)
    deviation = shares.std(axis=0)
    return _median((shares - shares.mean(axis=0)) / np.maximum(deviation, 1e-10))


def _median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over 7 neighbours along the last axis, mirrored at its ends.

    Thirteen exchanges put the middle one in its place (Devillard, Fast median search, 1998):
    a tenth of the time of numpy's partition.
    """
    half, length = _MEDIAN_WIDTH // 2, values.shape[-1]
    if length <= half:
        return values
    padded = np.pad(values, ((0, 0), (half, half)), mode="reflect")
    sorted_ones = [padded[..., shift : shift + length] for shift in range(_MEDIAN_WIDTH)]
    for low, high in _EXCHANGES:
        one, other = sorted_ones[low], sorted_ones[high]
        sorted_ones[low], sorted_ones[high] = np.minimum(one, other), np.maximum(one, other)
    return sorted_ones[half]


_EXCHANGES = (
    *((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6)),
    *((2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)),
)


def _first_positions(weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """(tokens, positions) -> (tokens,) where the path of greatest weight reaches each token.

    The path leads from the first token and position to the last; a step goes to the next token,
    the next position, or both. What a row costs when it is entered at one position and left at
    another is a difference of sums, so that a whole row is calculated at once.
    """
    tokens, positions = weights.shape
    before = np.full(positions + 1, np.inf)  # the row above; [p + 1] is its cost at p
    before[0] = 0.0
    entering = np.empty((tokens, positions))  # the cost of entering a row, less the sum up to there
    straight = np.empty((tokens, positions), bool)  # better from the same position of the row above
    for token, row in enumerate(weights.astype(np.float64)):
        sums = np.cumsum(row)
        straight[token] = before[1:] < before[:-1]
        entering[token] = np.minimum(before[1:], before[:-1]) + sums - row
        before[1:] = np.minimum.accumulate(entering[token]) - sums
        before[0] = np.inf
    return _walk_back(entering, straight)


def _walk_back(entering: NDArray[np.float64], straight: NDArray[np.bool_]) -> NDArray[np.int64]:
    tokens, positions = entering.shape
    first = np.zeros(tokens, np.int64)
    position = positions - 1
    for token in range(tokens - 1, -1, -1):
        first[token] = entering[token, : position + 1].argmin()
        position = int(first[token]) - (0 if straight[token, first[token]] else 1)
    return first
