"""The tiny llama of builders.py calculated the slow, obvious way, to compare llama.cpp's results with.

Source: llama.cpp at 0c1e57098, src/models/llama.cpp; https://arxiv.org/abs/2302.13971.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HEADS, KV_HEADS, WIDTH = 4, 2, 8  # of a head
EPSILON, FREQUENCY = 1e-6, 10_000.0


class NumpyLlama:
    def __init__(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self._tensors = {name: values.astype(np.float64) for name, values in tensors.items()}
        self.inputs: dict[str, Array] = {}  # (tokens, columns) that the last run() put into each matrix

    def run(self, tokens: Sequence[int]) -> Array:
        """(tokens,) -> (tokens, vocabulary) logits. A text of its own."""
        self.inputs = {}
        state = self._tensors["token_embd.weight"][list(tokens)]  # (tokens, hidden)
        for layer in range(2):
            state = state + self._attention(layer, self._norm(state, f"blk.{layer}.attn_norm.weight"))
            state = state + self._feed_forward(layer, self._norm(state, f"blk.{layer}.ffn_norm.weight"))
        return self._norm(state, "output_norm.weight") @ self._tensors["token_embd.weight"].T

    def _times(self, state: Array, name: str) -> Array:
        self.inputs[name] = state
        return state @ self._tensors[name].T

    def _norm(self, state: Array, name: str) -> Array:
        return state / np.sqrt((state**2).mean(axis=1, keepdims=True) + EPSILON) * self._tensors[name]

    def _attention(self, layer: int, state: Array) -> Array:
        count = len(state)
        q, k, v = (self._times(state, f"blk.{layer}.attn_{name}.weight") for name in "qkv")
        q, k = _rotate(q.reshape(count, HEADS, WIDTH)), _rotate(k.reshape(count, KV_HEADS, WIDTH))
        v = v.reshape(count, KV_HEADS, WIDTH)
        k, v = (np.repeat(part, HEADS // KV_HEADS, axis=1) for part in (k, v))
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(WIDTH)
        scores = np.where(np.tri(count, dtype=bool), scores, -np.inf)  # nobody sees what comes later
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        seen = np.einsum("hij,jhd->ihd", shares, v).reshape(count, HEADS * WIDTH)
        return self._times(seen, f"blk.{layer}.attn_output.weight")

    def _feed_forward(self, layer: int, state: Array) -> Array:
        gate, up = (self._times(state, f"blk.{layer}.ffn_{name}.weight") for name in ("gate", "up"))
        return self._times(gate / (1 + np.exp(-gate)) * up, f"blk.{layer}.ffn_down.weight")


def _rotate(heads: Array) -> Array:
    """(tokens, heads, width): neighbouring numbers are turned as a pair, by an angle of their position."""
    angles = np.arange(len(heads))[:, None, None] * FREQUENCY ** (-np.arange(WIDTH // 2) * 2 / WIDTH)
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = np.empty_like(heads)
    turned[..., 0::2] = even * np.cos(angles) - odd * np.sin(angles)
    turned[..., 1::2] = even * np.sin(angles) + odd * np.cos(angles)
    return turned
