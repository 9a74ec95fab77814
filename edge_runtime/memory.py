"""What a model will hold in memory, worked out from its header before anything is loaded.

Estimates: exact for weights and cache, a rule of thumb for compute buffers. The
check is on the safe side: mapped weights count in full, though the system can
drop their pages under pressure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .errors import MemoryBudgetExceeded
from .gguf_attention import sliding_layers
from .gguf_header import GgufHeader
from .units import format_bytes

# Python, numpy, llama.cpp's libraries and its vocabulary tables: fitted so that the anonymous
# parts add up to what was measured with 4096 tokens of context (x86-64, Python 3.11): 163 MB for
# SmolLM2 135M (49,152 tokens of vocabulary; planned 168), 152 for Gemma 3 270M (262,144; planned 158).
_PROCESS_BASE_BYTES = 40_000_000
_VOCABULARY_BYTES_PER_TOKEN = 240
_DEFAULT_CONTEXT_TOKENS = 4096
_LEAST_CONTEXT_TOKENS = 256
_F16_BYTES = 2


@dataclass(frozen=True)
class MemoryPart:
    name: str
    size_bytes: int
    held: str  # "file" (mapped, can be dropped and read again) or "anonymous"


@dataclass(frozen=True)
class MemoryPlan:
    context_tokens: int
    parts: tuple[MemoryPart, ...]

    @property
    def total_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    def describe(self) -> str:
        return ", ".join(f"{part.name} {format_bytes(part.size_bytes)}" for part in self.parts)


def plan_memory(
    header: GgufHeader, *, context_tokens: int, max_sequences: int, batch_tokens: int
) -> MemoryPlan:
    """Everything a runtime with these settings holds. Repacked copies of weights are not counted."""
    embedding = _count(header, "embedding_length")
    widest = max(
        (max(tensor.shape) for tensor in header.tensors if tensor.name.startswith("blk.")), default=0
    )
    vocabulary = header.vocabulary_size
    compute_bytes = 4 * (
        batch_tokens * (6 * embedding + 2 * widest + context_tokens) + 2 * max_sequences * vocabulary
    )
    return MemoryPlan(
        context_tokens,
        (
            MemoryPart("weights", header.tensor_bytes, "file"),
            MemoryPart(
                "KV cache", kv_cache_bytes(header, context_tokens * max_sequences, batch_tokens), "anonymous"
            ),
            MemoryPart("compute buffers", compute_bytes, "anonymous"),
            MemoryPart(
                "process", _PROCESS_BASE_BYTES + _VOCABULARY_BYTES_PER_TOKEN * vocabulary, "anonymous"
            ),
        ),
    )


def choose_context(
    header: GgufHeader,
    budget_bytes: int | None,
    *,
    context_tokens: int | None = None,
    max_sequences: int = 1,
    batch_tokens: int = 512,
) -> MemoryPlan:
    """The plan for the given context, or for the largest up to 4096 tokens that the budget allows.

    None: no budget. Raises MemoryBudgetExceeded, which carries the plan.
    """
    largest = min(header.context_length or _DEFAULT_CONTEXT_TOKENS, _DEFAULT_CONTEXT_TOKENS)
    wanted = context_tokens or largest
    plan = plan_memory(header, context_tokens=wanted, max_sequences=max_sequences, batch_tokens=batch_tokens)
    while budget_bytes is not None and plan.total_bytes > budget_bytes:
        smaller = plan.context_tokens // 2
        if context_tokens is not None or smaller < _LEAST_CONTEXT_TOKENS:
            raise _exceeded(header, plan, budget_bytes)
        plan = plan_memory(
            header, context_tokens=smaller, max_sequences=max_sequences, batch_tokens=batch_tokens
        )
    return plan


def _exceeded(header: GgufHeader, plan: MemoryPlan, budget_bytes: int) -> MemoryBudgetExceeded:
    total = format_bytes(plan.total_bytes)
    return MemoryBudgetExceeded(
        f"{header.path.name} with {plan.context_tokens} tokens of context needs {total}, "
        f"the budget is {format_bytes(budget_bytes)} ({plan.describe()})",
        hint=f"--budget {plan.total_bytes // 1_000_000 + 1}MB fits; a smaller --context or file needs less",
        plan=plan,
        budget_bytes=budget_bytes,
    )


def kv_cache_bytes(header: GgufHeader, cells: int, batch_tokens: int) -> int:
    """Key and value caches at F16 for `cells` positions.

    A layer with a sliding window stops growing at the window plus one batch, and
    a layer that shares another's cache adds nothing.
    Source: llama.cpp src/llama-kv-cache-iswa.cpp, and hparams.n_layer_kv_from_start, 0c1e57098.
    """
    layers = header.block_count or 0
    own_layers = layers - _count(header, "attention.shared_kv_layers")
    heads = _count(header, "attention.head_count", 1)
    head_length = _count(header, "embedding_length") // heads if heads else 0
    widths = _count(header, "attention.key_length", head_length) + _count(
        header, "attention.value_length", head_length
    )
    kv_heads = _per_layer(header.hyperparameter("attention.head_count_kv"), layers, heads)
    window = _count(header, "attention.sliding_window")
    windowed_cells = min(cells, window + batch_tokens)
    windowed = sliding_layers(header) or [False] * layers
    sizes = (
        kv_heads[layer] * widths * _F16_BYTES * (windowed_cells if windowed[layer] else cells)
        for layer in range(own_layers)
    )
    return int(sum(sizes))


def _count(header: GgufHeader, key: str, default: int = 0) -> int:
    value = header.hyperparameter(key)
    if isinstance(value, np.ndarray):
        return int(value.max(initial=0))
    return int(value) if isinstance(value, (int, float)) else default


def _per_layer(value: object, layers: int, default: int) -> list[int]:
    if isinstance(value, np.ndarray):
        found: Iterable[int] = (int(v) for v in value)
        return [*found, *([default] * layers)][:layers]
    return [int(value) if isinstance(value, int) else default] * layers
