"""A llama.cpp model with its context, as the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...memory.residency import Position, ResidencyKeeper
from ...values.records import SamplingOptions
from ..backend import BackendOptions, Float32Array, TokenSampler
from ..sealed_state import model_key
from .abort_signal import counting_signal
from .context import LlamaContext
from .embedding import embed_texts
from .library import library_version
from .model import LlamaModel, ProgressCallback
from .sampling import LlamaSampler


class LlamaBackend:
    """Fulfils backend.Backend."""

    def __init__(
        self,
        path: Path,
        options: BackendOptions,
        *,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Raises ModelLoadFailed."""
        self._threads = options.threads
        layout = options.residency
        self.keeper = ResidencyKeeper(layout) if layout else None
        self._model = LlamaModel(
            path,
            use_extra_bufts=options.use_extra_bufts,
            repacked=layout.repacked if layout else None,
            lazy_rows=bool(layout and layout.ple),
            gpu_layers=options.gpu_layers,
            progress=self._watch_loading(progress),
        )
        signal = counting_signal() if layout and layout.streamed else None
        try:
            self._context = LlamaContext(self._model, options, signal=signal)
        except BaseException:
            self._model.close()
            raise
        try:
            if self.keeper:
                self.keeper.after_loading((lambda: Position(*signal.position)) if signal else None)
        except BaseException:
            self.close()
            raise
        self.context_tokens, self.max_sequences = options.context_tokens, options.max_sequences
        self.batch_tokens = self._context.batch_tokens
        self.state_key = model_key(path, library_version())
        self.vocabulary_size = self._model.vocabulary_size
        self.window_tokens = self._model.window_tokens
        # The vocabulary's part of the protocol, and the context's, are theirs.
        self.tokenize = self._model.tokenize
        self.tokenize_prompt = self._model.tokenize_prompt
        self.token_text = self._model.token_text
        self.is_control = self._model.is_control
        self.beginning_text = self._model.beginning_text
        self.end_text = self._model.end_text
        self.decode = self._context.decode
        self.logits = self._context.logits
        self.abort = self._context.abort
        self.arm_abort = self._context.arm_abort
        self.remove = self._context.remove
        self.copy = self._context.copy
        self.first_position = self._context.first_position
        self.save_sequence = self._context.save_sequence

    def _watch_loading(self, progress: ProgressCallback | None) -> ProgressCallback | None:
        """llama.cpp reports progress first when it has mapped the files."""
        keeper = self.keeper
        if keeper is None:
            return progress
        told = False

        def report(part: float) -> bool:
            nonlocal told
            if not told:
                told = True
                keeper.while_loading()
            return progress is None or progress(part)

        return report

    def load_sequence(self, sequence: int, path: Path) -> list[int]:
        return self._context.load_sequence(sequence, path, self.context_tokens)

    def make_sampler(self, sampling: SamplingOptions, grammar: str | None, seed: int) -> TokenSampler:
        return LlamaSampler(self._model, sampling, grammar, seed)

    def embed(self, token_lists: Sequence[Sequence[int]]) -> Float32Array:
        """(texts, embedding length), each row of length 1 in the Euclidean sense."""
        rows = embed_texts(self._model, token_lists, threads=self._threads)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Float32Array = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit

    def close(self) -> None:
        self._context.close()
        if self.keeper:
            self.keeper.close()
        self._model.close()
