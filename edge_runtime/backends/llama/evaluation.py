"""Evaluating a text chunk by chunk, for tools that need the logits of every position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import BackendFailed, ModelUnsupported
from ..backend import Chunk, DecodeStatus, Float32Array
from ..context_settings import ContextSettings
from .activations import FEWEST_ROWS, MatrixInputs
from .context import LlamaContext
from .library import native
from .model import LlamaModel

# A row of logits has 1 MiB at 262,144 tokens of vocabulary, and llama.cpp keeps two copies of each.
_LOGIT_BYTES = 64 << 20
_MOST_STEP_TOKENS = 256
_FEWEST_STEP_TOKENS = 2 * FEWEST_ROWS  # no part of a chunk gets fewer rows than FEWEST_ROWS

OnTokens = Callable[[int], None]  # takes how many tokens have been read since the last call


class Evaluator:
    """A loaded model with a context of one chunk. Belongs to one thread."""

    def __init__(self, model: LlamaModel, context: LlamaContext, inputs: MatrixInputs | None) -> None:
        self._model, self._context, self._inputs = model, context, inputs

    def logits(
        self, tokens: Sequence[int], first: int, on_tokens: OnTokens = lambda count: None
    ) -> Iterator[Float32Array]:
        """(vocabulary,) for each token from index `first` on; overwritten when the next one is asked for."""
        for start, end in self._steps(tokens, first):
            for index in range(max(first - start, 0), end - start):
                yield self._context.logits(index)
            on_tokens(end - start)

    def read(self, tokens: Sequence[int], on_tokens: OnTokens = lambda count: None) -> None:
        """Compute with all of the chunk's tokens, in every layer: for what `inputs` takes."""
        for start, end in self._steps(tokens, 0):
            on_tokens(end - start)

    def _steps(self, tokens: Sequence[int], first: int) -> Iterator[tuple[int, int]]:
        """Ranges of tokens, one after another, each when it has been computed."""
        self._context.remove(0, -1)
        for start, end in even_parts(len(tokens), self._context.batch_tokens):
            # A chunk of one token each: that is how a context gives more than one row a sequence.
            chunks = [Chunk(0, at, tokens[at : at + 1], wants_logits=at >= first) for at in range(start, end)]
            status = self._context.decode(chunks)
            if self._inputs is not None:
                self._inputs.raise_failure()
            if status is not DecodeStatus.DONE:
                raise BackendFailed(f"{self._model.path}: reading stopped: {status.value}", session_good=True)
            yield start, end


@contextmanager
def open_evaluator(
    path: Path,
    *,
    context_tokens: int,
    threads: int,
    use_extra_bufts: bool,
    gpu_layers: int | None = None,
    inputs: MatrixInputs | None = None,
) -> Iterator[Evaluator]:
    """Load a file that gguf_check has found sound, for chunks of `context_tokens`, 16 at least.

    With `inputs` there are no logits: see there.
    Raises ModelUnsupported for a model that does not predict the next token, ModelLoadFailed
    and EngineUnavailable.
    """
    model = LlamaModel(path, use_extra_bufts=use_extra_bufts, gpu_layers=gpu_layers)
    try:
        if model.pools or native().llama_model_has_encoder(model.pointer):
            raise ModelUnsupported(
                f"{path.name} does not predict the next token of a text",
                hint="give a language model, no embedding model and no translator",
                path=str(path),
            )
        step_tokens = most_step_tokens(model.vocabulary_size)
        context = LlamaContext(
            model,
            ContextSettings(context_tokens, batch_tokens=step_tokens, threads=threads),
            output_rows=step_tokens,
            eval_callback=inputs.callback if inputs else None,
        )
        try:
            yield Evaluator(model, context, inputs)
        finally:
            context.close()
    finally:
        model.close()


def most_step_tokens(vocabulary_size: int) -> int:
    """How many rows of logits fit into their 64 MiB."""
    rows = _LOGIT_BYTES // (4 * vocabulary_size)
    return max(_FEWEST_STEP_TOKENS, min(rows, _MOST_STEP_TOKENS))


def even_parts(count: int, most: int) -> Iterator[tuple[int, int]]:
    """(start, end) of ranges of almost one size: 300, 256 -> 0 to 150, 150 to 300."""
    parts = -(-count // most)
    return ((count * n // parts, count * (n + 1) // parts) for n in range(parts))
