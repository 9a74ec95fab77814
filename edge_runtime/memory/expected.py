"""The plan of a run that does not fill its context.

A plan speaks of the peak, with the context full. Five kinds of parts are touched only as
far as the tokens go: masks, scores, the buffers of a micro-batch, and rows of two tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..gguf.header import GgufHeader
from ..gguf.tensor_names import EMBEDDING_TENSOR, PLE_TENSOR
from .attention import allows_plain, plain_bytes, plain_scratch_bytes
from .compute import mask_bytes, numbers_per_token, scratch_bytes
from .kv_cache import full_cells, window_cells
from .part import Held, MemoryPart, PartKind
from .plan import MemoryPlan, PlePolicy
from .shape import ModelShape, read_shape

_PAGE_BYTES = 4096
_FAULT_PAGES = 16  # what a page fault brings in where nothing was advised


def expected_at(
    plan: MemoryPlan, prompt_tokens: int, header: GgufHeader, *, answer_tokens: int = 0
) -> MemoryPlan:
    """The same plan with each part as large as a prompt of random token ids makes it.

    "attention masks": as many cells as there are tokens, rounded up to 256, and as many rows as
    a micro-batch has; more where later layers use their place. "attention scores", and "scratch
    memory" with plain attention: likewise. "compute buffers", and "scratch memory" without: as the
    rows, when the prompt is shorter than a micro-batch.
    "embedding rows", "PLE cache", "PLE pages": the pages of as many rows as random ids differ, at
    most what the plan allows. All others stay: the KV cache is cleared, which touches it, and weights are all
    used by one token.

    Random ids need more rows than prose: a part of rows can become larger than planned, except
    for the cache, which has its cap. Pages are counted as 4096 bytes.
    """
    shape = read_shape(header)
    tokens = prompt_tokens + answer_tokens
    sizes = _masks(plan, shape, prompt_tokens, tokens)
    sizes[PartKind.COMPUTE_BUFFERS] = int(
        plan.part_bytes(PartKind.COMPUTE_BUFFERS) * _share_of_rows(plan, prompt_tokens)
    )
    sizes[PartKind.ATTENTION_SCORES] = _scores(plan, shape, prompt_tokens, tokens)
    sizes[PartKind.SCRATCH_MEMORY] = _scratch(plan, shape, prompt_tokens, tokens)
    sizes.update(_rows(plan, header, different_ids(tokens, shape.vocabulary_tokens)))
    return replace(plan, parts=tuple(_resized(part, sizes) for part in plan.parts))


def different_ids(tokens: int, vocabulary_tokens: int) -> int:
    """How many of so many random ids differ, on average."""
    if not vocabulary_tokens:
        return tokens
    return round(vocabulary_tokens * (1 - (1 - 1 / vocabulary_tokens) ** tokens))


def _resized(part: MemoryPart, sizes: Mapping[PartKind, int]) -> MemoryPart:
    if part.held is Held.FLASH or part.kind not in sizes:
        return part
    return replace(part, size_bytes=sizes[part.kind])


def _share_of_rows(plan: MemoryPlan, prompt_tokens: int) -> float:
    return min(prompt_tokens / _micro_batch(plan), 1.0)


def _micro_batch(plan: MemoryPlan) -> int:
    return min(plan.choices.micro_batch_tokens, plan.context_tokens * plan.max_sequences)


def _masks(plan: MemoryPlan, shape: ModelShape, prompt_tokens: int, tokens: int) -> dict[PartKind, int]:
    micro_batch = _micro_batch(plan)
    cells = full_cells(plan.context_tokens, plan.max_sequences)
    windowed = window_cells(shape, plan.context_tokens, micro_batch, plan.max_sequences)
    whole = mask_bytes(shape, cells, windowed, micro_batch)
    used = full_cells(tokens, 1)
    rows = min(prompt_tokens, micro_batch)
    touched = mask_bytes(shape, min(used, cells), min(used, windowed), rows)
    if _layers_follow_the_mask(shape):
        reused = 4 * rows * numbers_per_token(shape)  # F32
        unseen = mask_bytes(shape, cells, windowed, micro_batch) - touched
        touched += min(reused, unseen)
    return {PartKind.ATTENTION_MASKS: plan.part_bytes(PartKind.ATTENTION_MASKS) * touched // max(whole, 1)}


def _scores(plan: MemoryPlan, shape: ModelShape, prompt_tokens: int, tokens: int) -> int:
    micro_batch, planned = _micro_batch(plan), plan.part_bytes(PartKind.ATTENTION_SCORES)
    rows, used = min(prompt_tokens, micro_batch), full_cells(tokens, 1)
    buffers = plan.part_bytes(PartKind.COMPUTE_BUFFERS) * rows // micro_batch
    return min(max(plain_bytes(shape, used, rows) - buffers, 0), planned)


def _scratch(plan: MemoryPlan, shape: ModelShape, prompt_tokens: int, tokens: int) -> int:
    micro_batch, planned = _micro_batch(plan), plan.part_bytes(PartKind.SCRATCH_MEMORY)
    by_rows = scratch_bytes(shape, micro_batch, plan.choices.threads) * _share_of_rows(plan, prompt_tokens)
    is_plain = not plan.choices.flash_attention and allows_plain(plan.choices.kv_type)
    rows, used = min(prompt_tokens, micro_batch), full_cells(tokens, 1)
    return min(max(int(by_rows), plain_scratch_bytes(shape, used, rows) * is_plain), planned)


def _layers_follow_the_mask(shape: ModelShape) -> bool:
    """Whether whole layers come after the last one that sees everything: llama.cpp puts their results
    where its mask was. The last layer only computes what is asked for. Seen with Gemma 3 1B."""
    seeing = [index for index, layer in enumerate(shape.layers) if not layer.slides]
    return bool(seeing) and seeing[-1] < len(shape.layers) - 2


def _rows(plan: MemoryPlan, header: GgufHeader, rows: int) -> dict[PartKind, int]:
    embedding = _pages_bytes(header, EMBEDDING_TENSOR, rows, 1)
    ple = _pages_bytes(header, PLE_TENSOR, rows, 1)
    looked_up = any(part.kind is PartKind.EMBEDDING_TABLE for part in plan.parts)
    sizes = {PartKind.EMBEDDING_ROWS: embedding}
    if plan.choices.ple_policy is PlePolicy.CACHE:
        sizes[PartKind.PLE_CACHE] = min(plan.choices.ple_cache_bytes, ple + embedding * looked_up)
    elif plan.choices.ple_policy is PlePolicy.MAPPED:
        sizes[PartKind.PLE_PAGES] = _pages_bytes(header, PLE_TENSOR, rows, _FAULT_PAGES)
    return sizes


def _pages_bytes(header: GgufHeader, name: str, rows: int, step_pages: int) -> int:
    """A row may lie across two steps."""
    table = next((tensor for tensor in header.tensors if tensor.name == name), None)
    if table is None:
        return 0
    row_bytes = table.size_bytes // max(table.shape[1], 1)
    return min(table.size_bytes, rows * (row_bytes + step_pages * _PAGE_BYTES))
