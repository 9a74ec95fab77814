"""Layers that keep to a sliding window, and layers that own a cache of keys and values.

Source: llama.cpp at 0c1e57098, src/models/*.cpp (load_arch_hparams) and
src/llama-hparams.cpp (set_swa_pattern, n_layer_kv_from_start).
"""

from __future__ import annotations

import numpy as np

from .header import GgufHeader
from .hyperparameters import number

WINDOW_PATTERN = "attention.sliding_window_pattern"
SHARED_LAYERS = "attention.shared_kv_layers"
# Of so many layers in a row the last sees everything, the others a window.
SLIDING_PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gemma-embedding": 6}
GEMMA3N_OWNING_LAYERS = 20  # a constant in gemma3n.cpp


def sliding_layers(header: GgufHeader) -> list[bool]:
    """Per layer: does its attention slide? Empty when the model has no window, or does not say."""
    layers, window = header.block_count or 0, number(header, "attention.sliding_window")
    pattern = header.hyperparameter(WINDOW_PATTERN)
    if isinstance(pattern, np.ndarray) and pattern.dtype.kind in "biu":
        flags = [bool(flag) for flag in pattern[:layers]]
        return flags + [False] * (layers - len(flags)) if window else []
    period = SLIDING_PERIODS.get(header.architecture or "")
    if isinstance(pattern, int):
        period = int(pattern)
    if not window or period is None:
        return []
    return periodic(layers, period)


def periodic(layers: int, period: int) -> list[bool]:
    """Every `period`-th layer sees everything, the others slide; 0: all slide."""
    return [period == 0 or layer % period < period - 1 for layer in range(layers)]


def owning_layers(header: GgufHeader) -> int:
    """The first so many own a cache of keys and values; those behind them read another's."""
    layers = header.block_count or 0
    if header.architecture == "gemma3n":
        return min(layers, GEMMA3N_OWNING_LAYERS)
    if header.architecture == "gemma4":
        return max(layers - number(header, SHARED_LAYERS), 0)
    return layers
