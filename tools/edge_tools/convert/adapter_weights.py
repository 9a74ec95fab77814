"""The tensors of a GGUF adapter: two beside each weight, under the weight's name.

A weight W becomes W + scale * B A, where A is (rank, columns) and B (rows, rank). B's rows move as W's do;
A's columns never have to. llama.cpp's scale is alpha / rank, with one alpha for all and each pair's own rank.
Source: llama.cpp convert_lora_to_gguf.py; src/llama-adapter.h, get_scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edge_runtime.gguf.types import GgmlType

from .adapter_config import AdapterConfig
from .adapter_pairs import EMBEDDING, Pair
from .source.target import Change, Target
from .weights import Filled, check_stored


@dataclass(frozen=True)
class AdapterWeights:
    alpha: float  # with which llama.cpp's scale is PEFT's
    filled: tuple[Filled, ...]


def fill_adapter(adapter: AdapterConfig, pairs: Sequence[Pair], wanted: GgmlType) -> AdapterWeights:
    """Raises ConversionError for matrices that do not fit their weight, or each other."""
    alpha = _alpha(adapter, pairs[0].rank)
    filled = [half for pair in pairs for half in _filled(pair, _alpha(adapter, pair.rank) / alpha, wanted)]
    return AdapterWeights(alpha, tuple(filled))


def _alpha(adapter: AdapterConfig, rank: int) -> float:
    """Divided by the rank it is PEFT's scale. Source: peft tuners/lora/layer.py, update_layer."""
    return adapter.alpha * math.sqrt(rank) if adapter.rank_stabilized else adapter.alpha


def _filled(pair: Pair, factor: float, wanted: GgmlType) -> Iterator[Filled]:
    """Of A and of B. Of an embedding, ggml's A has a row for each token and PEFT's a column."""
    target, rank = pair.target, pair.rank
    rows, columns = target.shape
    a = Target(f"{target.name}.lora_a", (rank, columns), (pair.a.name,))
    b = Target(f"{target.name}.lora_b", (rows, rank), (pair.b.name,), target.change, target.heads)
    if target.name == EMBEDDING:
        a = replace(a, shape=(rank, rows), change=Change.TRANSPOSE)
        b = replace(b, shape=(columns, rank))
    for stored, half in ((pair.a, a), (pair.b, replace(b, factor=factor))):
        check_stored(stored, half)
        yield Filled(half, (stored,), wanted)
