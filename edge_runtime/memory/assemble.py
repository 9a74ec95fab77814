"""The parts of a plan: everything that a runtime with given choices holds at its peak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from ..gguf.header import GgufHeader
from . import process
from .attention import allows_plain, plain_bytes, plain_scratch_bytes
from .compute import buffer_bytes, mask_bytes, scratch_bytes
from .kv_cache import full_cells, kv_bytes, window_cells
from .part import Held, MemoryPart, PartKind
from .plan import MemoryChoices, PlanOptions, PlePolicy
from .shape import ModelShape, read_shape
from .weights import ClassBytes, WeightSizes, weight_sizes

# Of streamed weights in memory: a matrix that is in use and the next ones. E2B in 1.52 GB decodes 2.95
# tokens/s with 32 MB; with 24 MB 2.74, as the device then waits while the output matrix computes; with
# 48 MB 2.79, as more has to be read (2-core Xeon, 1 GB/s).
_MOST_WINDOW_BYTES, _LEAST_WINDOW_BYTES, _WINDOW_SHARE = 32_000_000, 8_000_000, 0.08
MOST_STREAMED = 0.6  # of all weights but the PLE
# A page fault brings in its neighbours, 16 pages on Linux; where random access was asked for, one.
_FAULT_PAGES = 16


class Model:
    """One model's share of the arithmetic, worked out once and asked often."""

    def __init__(self, header: GgufHeader, options: PlanOptions) -> None:
        self.header, self.options = header, options
        self.shape: ModelShape = read_shape(header)
        self.weights = lru_cache(maxsize=2)(self._weights)

    def _weights(self, repack: bool) -> WeightSizes:
        return weight_sizes(self.header, self.options.platform, repack)

    @property
    def most_streamed_bytes(self) -> int:
        sizes = self.weights(False)
        return min(sizes.streamable_bytes, int(MOST_STREAMED * sizes.without_ple_bytes))

    @property
    def streaming_window_bytes(self) -> int:
        share_bytes = int(_WINDOW_SHARE * self.most_streamed_bytes)
        return min(max(share_bytes, _LEAST_WINDOW_BYTES), _MOST_WINDOW_BYTES)

    def buffer_bytes(self, micro_batch_tokens: int) -> int:
        """Of the compute buffer, with a cache in F16 and flash attention."""
        return buffer_bytes(self.shape, micro_batch_tokens, self.options.max_sequences)

    def plain_bytes(self, choices: MemoryChoices) -> int:
        """Of the compute buffer with plain attention."""
        cells = full_cells(choices.context_tokens, self.options.max_sequences)
        return plain_bytes(self.shape, cells, choices.micro_batch_tokens)

    def parts(self, choices: MemoryChoices) -> tuple[MemoryPart, ...]:
        """In the order of a table; parts of no size are left out."""
        parts = self._process_parts(choices)
        # Streamed weights are mapped like others, and their window is a part of them.
        mapped = self._process_parts(replace(choices, streamed_bytes=0)) if choices.streamed_bytes else parts
        return (*parts, self._kernel_part(mapped))

    def total_bytes(self, choices: MemoryChoices) -> int:
        return sum(part.size_bytes for part in self.parts(choices) if part.held is not Held.FLASH)

    def _process_parts(self, choices: MemoryChoices) -> tuple[MemoryPart, ...]:
        groups = (self._weight_parts(choices), self._ple_parts(choices), self._run_parts(choices))
        return tuple(part for group in groups for part in group if part.size_bytes)

    # --- weights -----------------------------------------------------------------------

    def _weight_parts(self, choices: MemoryChoices) -> Iterator[MemoryPart]:
        streamed = choices.streamed_bytes
        sizes = self.weights(choices.repack)
        if streamed:  # tensors are then repacked one by one by name, and a tied embedding has one name
            sizes = _with_plain_tie(sizes)
        mapped_held = Held.LOCKED if streamed else Held.FILE
        body = _without(sizes.body, streamed)
        classes = (
            (body, PartKind.BODY, PartKind.BODY_REPACKED),
            (sizes.embedding, PartKind.EMBEDDING, PartKind.EMBEDDING_REPACKED),
            (sizes.output, PartKind.OUTPUT, PartKind.OUTPUT_REPACKED),
        )
        for size, mapped, repacked in classes:
            yield MemoryPart(mapped, size.mapped_bytes, mapped_held, "used by every token")
            yield MemoryPart(repacked, size.repacked_bytes, Held.ANONYMOUS, "copies in another order")
        yield from self._row_parts(sizes.embedding.looked_up_bytes, choices)
        originals = body.repacked_bytes + sizes.output.repacked_bytes * (not sizes.is_tied)
        originals_held = Held.FLASH if self.options.platform.can_release else Held.FILE
        yield MemoryPart(PartKind.REPACKED_ORIGINALS, originals, originals_held, "not read again")
        yield MemoryPart(PartKind.STREAMED_WEIGHTS, streamed, Held.FLASH, "read for every token")
        window = min(self.streaming_window_bytes, streamed)
        yield MemoryPart(PartKind.STREAMING_WINDOW, window, Held.FILE, "the part that is being used")

    def _row_parts(self, table_bytes: int, choices: MemoryChoices) -> Iterator[MemoryPart]:
        """A table of which each token needs one row."""
        if not self.options.platform.can_release:
            yield MemoryPart(PartKind.EMBEDDING, table_bytes, Held.FILE, "a row a token")
            return
        yield MemoryPart(PartKind.EMBEDDING_TABLE, table_bytes, Held.FLASH, "a row a token")
        if choices.ple_policy is not PlePolicy.CACHE:  # which holds these rows as well
            rows = self._touched_bytes(table_bytes, choices, self.options.platform.page_bytes)
            yield MemoryPart(PartKind.EMBEDDING_ROWS, rows, Held.FILE, "those in use")

    def _touched_bytes(self, table_bytes: int, choices: MemoryChoices, step_bytes: int) -> int:
        """Pages of a table that a full context brings in. A row may lie across two steps."""
        rows = distinct_tokens(choices.context_tokens * self.options.max_sequences)
        row_bytes = table_bytes // max(self.shape.vocabulary_tokens, 1)
        return min(table_bytes, rows * (row_bytes + step_bytes))

    def _ple_parts(self, choices: MemoryChoices) -> Iterator[MemoryPart]:
        table_bytes = self.weights(False).ple_bytes
        if not table_bytes:
            return
        if choices.ple_policy is PlePolicy.RESIDENT:
            yield MemoryPart(PartKind.PLE, table_bytes, Held.FILE, "the whole table")
            return
        yield MemoryPart(PartKind.PLE, table_bytes, Held.FLASH, "the table")
        if choices.ple_policy is PlePolicy.CACHE:
            cache = min(choices.ple_cache_bytes, table_bytes)
            yield MemoryPart(PartKind.PLE_CACHE, cache, Held.FILE, "rows that were used last")
            locked = min(self.options.ple_locked_bytes, table_bytes)
            yield MemoryPart(PartKind.PLE_LOCKED_ROWS, locked, Held.LOCKED, "the most used")
        else:
            step = _FAULT_PAGES * self.options.platform.page_bytes
            rows = self._touched_bytes(table_bytes, choices, step)
            yield MemoryPart(PartKind.PLE_PAGES, rows, Held.FILE, "they come and go")

    # --- everything else ---------------------------------------------------------------

    def _run_parts(self, choices: MemoryChoices) -> Iterator[MemoryPart]:
        shape, sequences = self.shape, self.options.max_sequences
        context, options = choices.context_tokens, self.options
        micro_batch = min(choices.micro_batch_tokens, context * sequences)
        cells = full_cells(context, sequences)
        windowed = window_cells(shape, context, micro_batch, sequences)
        cache = kv_bytes(shape, context, micro_batch, choices.kv_type, sequences)
        cache = int(cache * options.kv_factor)
        yield MemoryPart(
            PartKind.KV_CACHE, cache, Held.ANONYMOUS, f"{context} tokens, {choices.kv_type.value}"
        )
        is_plain = not choices.flash_attention and allows_plain(choices.kv_type)
        masks = mask_bytes(shape, cells, windowed, micro_batch) * (1 + is_plain)  # F32 then
        buffers = buffer_bytes(shape, micro_batch, sequences, choices.kv_type, masks)
        scores = max(plain_bytes(shape, cells, micro_batch) - buffers, 0) * is_plain
        buffers, masks, scores = (int(size * options.compute_factor) for size in (buffers, masks, scores))
        yield MemoryPart(PartKind.COMPUTE_BUFFERS, buffers, Held.ANONYMOUS, f"{micro_batch} tokens at a time")
        yield MemoryPart(PartKind.ATTENTION_MASKS, masks, Held.ANONYMOUS, "when the context is full")
        yield MemoryPart(PartKind.ATTENTION_SCORES, scores, Held.ANONYMOUS, "when the context is full")
        products = plain_scratch_bytes(shape, cells, micro_batch) * is_plain
        scratch = max(scratch_bytes(shape, micro_batch, choices.threads), products)
        yield MemoryPart(PartKind.SCRATCH_MEMORY, scratch, Held.ANONYMOUS, f"{choices.threads} threads")
        tables = process.context_table_bytes(shape, cells, sequences)
        yield MemoryPart(PartKind.CONTEXT_TABLES, tables, Held.ANONYMOUS)
        yield MemoryPart(PartKind.VOCABULARY, process.vocabulary_bytes(self.header, shape), Held.ANONYMOUS)
        yield MemoryPart(PartKind.PYTHON, process.INTERPRETER_BYTES, Held.ANONYMOUS)
        yield MemoryPart(PartKind.LIBRARIES, process.LIBRARIES_BYTES, Held.FILE)
        yield from options.beside

    def _kernel_part(self, parts: Sequence[MemoryPart]) -> MemoryPart:
        """Page tables stay when their pages go: what is on flash has been mapped as well."""
        mapped = sum(part.size_bytes for part in parts)
        kernel = process.kernel_bytes(mapped, self.options.platform.page_bytes)
        return MemoryPart(PartKind.KERNEL, kernel, Held.ANONYMOUS, "page tables")


def _without(body: ClassBytes, streamed_bytes: int) -> ClassBytes:
    """What stays of the layers' weights: both kinds shrink in proportion."""
    total = body.mapped_bytes + body.repacked_bytes
    if not streamed_bytes or not total:
        return body
    from_mapped = streamed_bytes * body.mapped_bytes // total
    return ClassBytes(body.mapped_bytes - from_mapped, body.repacked_bytes - (streamed_bytes - from_mapped))


def _with_plain_tie(sizes: WeightSizes) -> WeightSizes:
    """The same with a tied embedding that is multiplied with as it lies in the file."""
    if not sizes.is_tied or not sizes.output.repacked_bytes:
        return sizes
    table_bytes = sizes.embedding.looked_up_bytes
    return replace(sizes, embedding=ClassBytes(mapped_bytes=table_bytes), output=ClassBytes())


def distinct_tokens(tokens: int) -> int:
    """How many different ones a text of so many tokens has.

    Our assumption: Heaps' law with 8 and 0.6, 1,180 for 4096 tokens of English prose.
    """
    return min(tokens, int(8 * tokens**0.6))
