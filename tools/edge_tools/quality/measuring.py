"""Measuring the quality of quantized, sliced or pruned models against their reference.

As llama.cpp's perplexity tool scores: the text is cut into chunks of `context_tokens`, each is a
text of its own, and only its second half is scored, where there is something to go by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.backends.backend import Float32Array
from edge_runtime.backends.guard.probe import guard_model
from edge_runtime.backends.llama.evaluation import Evaluator, open_evaluator
from edge_runtime.backends.llama.vocabulary import open_vocabulary
from edge_runtime.catalog.catalog import locate
from edge_runtime.device.device import default_threads, read_memory
from edge_runtime.device.folders import cache_folder
from edge_runtime.errors import BackendFailed
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.values.checks import whole_number_or_none
from edge_runtime.values.progress import QUIET, Advance, Progress

from ..tensor_data import element_count
from ..text_chunks import Chunks, chunk_tokens, cut_chunks
from .reference_rows import ReferenceRows, open_reference_rows
from .result import ModelQuality, Quality
from .rows import relative
from .tally import Tally
from .vocabulary import check_vocabulary

DEFAULT_CHUNKS = 8  # of 512 tokens: 2,040 positions, and 1.1 GB on disk with a vocabulary of 262,144


def measure_quality(
    models: Sequence[str | Path],
    reference: str | Path,
    text: str,
    *,
    context_tokens: int | None = None,
    chunks: int | None = DEFAULT_CHUNKS,
    threads: int | None = None,
    progress: Progress = QUIET,
) -> Quality:
    """How far each of `models` is from `reference` (names or GGUF files) on `text`.

    Chunks have `context_tokens` (512 or what all were trained for); `chunks` of them are read,
    None: all that the text has. One model is loaded at a time; what the reference says is
    on disk meanwhile, see reference_rows.py, and rows of logits take 128 MiB.
    Raises OptionInvalid (a text that is too short), ModelNotFound, ModelFileInvalid,
    ModelUnsupported (another vocabulary than the reference's), ModelLoadFailed, BackendFailed,
    EngineUnavailable, StorageFull.
    """
    chunks = whole_number_or_none("chunks", chunks)
    threads = whole_number_or_none("threads", threads)
    base, *others = headers = [_checked(model) for model in (reference, *models)]
    for other in others:
        check_vocabulary(base, other)
    context_tokens = chunk_tokens(context_tokens, headers)
    may_repack = {guard_model(header.path) for header in headers}
    with open_vocabulary(base.path) as vocabulary:
        parts = cut_chunks(vocabulary, text, context_tokens, chunks)
    reading = _Reading(parts, threads or default_threads(), all(may_repack) and _room_for_copies(headers))
    with (
        open_reference_rows(cache_folder(), base.vocabulary_size, reading.positions) as rows,
        progress.steps("quality", len(headers) * reading.tokens, "tokens") as advance,
    ):
        said = _tally_reference(base, reading, rows, advance)
        found = [_found(other, _tally(other, reading, rows, advance), said) for other in others]
    return Quality(_found(base, said, None), tuple(found), context_tokens, len(parts), reading.positions)


def _checked(model: str | Path) -> GgufHeader:
    header = read_header(locate(model).path)
    check_header(header)
    return header


def _room_for_copies(headers: Sequence[GgufHeader]) -> bool:
    """For weights in another order, which are faster. For all models or none: it changes last digits."""
    usable_bytes = read_memory().usable_bytes
    return usable_bytes is not None and 2 * max(header.tensor_bytes for header in headers) < usable_bytes


@dataclass(frozen=True)
class _Reading:
    """The same for every model."""

    chunks: Chunks
    threads: int
    use_extra_bufts: bool

    @property
    def first(self) -> int:
        """Index of the first token in a chunk whose successor is scored."""
        return len(self.chunks[0]) // 2

    @property
    def tokens(self) -> int:
        """Each chunk's last one is a successor only."""
        return sum(len(chunk) - 1 for chunk in self.chunks)

    @property
    def positions(self) -> int:
        return sum(len(chunk) - 1 - self.first for chunk in self.chunks)

    def open(self, header: GgufHeader) -> AbstractContextManager[Evaluator]:
        return open_evaluator(
            header.path,
            context_tokens=len(self.chunks[0]),
            threads=self.threads,
            use_extra_bufts=self.use_extra_bufts,
        )

    def rows(
        self, header: GgufHeader, evaluator: Evaluator, advance: Advance
    ) -> Iterator[tuple[Float32Array, int]]:
        """Relative logits, and the token that comes next, for each scored position."""
        for number, chunk in enumerate(self.chunks):
            for at, logits in enumerate(evaluator.logits(chunk[:-1], self.first, advance), self.first):
                row = relative(logits)
                if row is None:
                    raise BackendFailed(
                        f"{header.path.name}: chunk {number + 1}, token {at}: the logits are not numbers",
                        hint="look for damage with `edge-runtime verify`",
                        session_good=False,
                    )
                yield row, chunk[at + 1]


def _tally_reference(header: GgufHeader, reading: _Reading, kept: ReferenceRows, advance: Advance) -> Tally:
    tally = Tally(reading.positions)
    with reading.open(header) as evaluator:
        for row, came in reading.rows(header, evaluator, advance):
            tally.add(row, came)
            kept.add(row)
    return tally


def _tally(header: GgufHeader, reading: _Reading, kept: ReferenceRows, advance: Advance) -> Tally:
    tally = Tally(reading.positions)
    with reading.open(header) as evaluator:
        pairs = zip(reading.rows(header, evaluator, advance), kept.read(), strict=True)
        for (row, came), reference in pairs:
            tally.add(row, came, reference)
    return tally


def _found(header: GgufHeader, tally: Tally, reference: Tally | None) -> ModelQuality:
    elements = sum(map(element_count, header.tensors))
    return ModelQuality(
        header.path,
        header.file_size_bytes,
        8 * header.tensor_bytes / elements,
        tally.perplexity(),
        tally.divergence_from(reference) if reference else None,
    )
