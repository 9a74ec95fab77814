"""The two sides of a comparison: the runtime, and llama.cpp as its own tools use it.

Both read the same random prompt and then the same random tokens, whatever the model
would have said: a new row of the per-layer embeddings each time, which is their worst
case, and the same work in each repetition.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from .step_clock import StepClock
from .task import Task

_STOCK_CONTEXT_TOKENS = 4096
_STOCK_BATCH_TOKENS, _STOCK_MICRO_BATCH_TOKENS = 2048, 512  # llama.cpp's own defaults


class CaseEngine(Protocol):
    vocabulary_size: int

    def answer(self, prompt: Sequence[int], answer: Sequence[int], clock: StepClock) -> None:
        """Evaluate `prompt` in as few steps as the engine takes, then `answer` token by token."""

    def memory_usage(self) -> Any:
        """What the engine says of itself; None when it says nothing."""

    def close(self) -> None: ...


def open_engine(task: Task) -> CaseEngine:
    """Loads the model. Raises EdgeRuntimeError, or TypeError for an option that is not there."""
    return Ours(task) if task.engine == "ours" else Stock(task)


class Ours:
    """edge_runtime, through Runtime.generate; the answer's tokens are put in place of the sampler's."""

    def __init__(self, task: Task) -> None:
        from edge_runtime import Runtime

        self.runtime = Runtime.open(
            task.model,
            budget=task.budget,
            context_tokens=task.context_tokens,
            threads=task.threads,
            **task.options,
        )
        self._backend: Any = self.runtime._backend
        self.vocabulary_size = self.runtime.vocabulary_size

    def answer(self, prompt: Sequence[int], answer: Sequence[int], clock: StepClock) -> None:
        backend = self._backend
        tokens = iter(answer)
        backend.make_sampler = lambda *_args, **_keywords: _Scripted(tokens)
        backend.decode = _clocked(backend.decode, clock)
        clock.start()
        # One more than is evaluated: the last token of an answer is drawn and not decoded.
        self.runtime.generate(prompt, max_tokens=len(answer) + 1, ignore_end=True)

    def memory_usage(self) -> Any:
        ask = getattr(self.runtime, "memory_usage", None)
        return ask() if ask else None

    def close(self) -> None:
        self.runtime.close()


class _Scripted:
    """A sampler that says what it was told to."""

    def __init__(self, tokens: Iterator[int]) -> None:
        self._tokens = tokens

    def sample(self, _logits: object) -> int:
        return next(self._tokens, 0)

    def close(self) -> None: ...


def _clocked(decode: Any, clock: StepClock) -> Any:
    def decode_and_note(chunks: Any, **keywords: Any) -> Any:
        status = decode(chunks, **keywords)
        clock.step(sum(len(chunk.tokens) for chunk in chunks))
        return status

    return decode_and_note


class Stock:
    """llama.cpp through its binding: mapped file, weights repacked unless told otherwise."""

    def __init__(self, task: Task) -> None:
        # native() also makes OpenMP's threads sleep soon, which costs nothing on an idle
        # machine and helps on a busy one: what is compared is memory.
        from edge_runtime.backends.llama.library import native

        c = self._c = native()
        params = c.llama_model_default_params()
        params.use_extra_bufts = task.engine == "stock"
        self._model = c.llama_model_load_from_file(task.model.encode(), params)
        if not self._model:
            raise RuntimeError(f"llama.cpp could not load {task.model}")
        self.vocabulary_size = int(c.llama_vocab_n_tokens(c.llama_model_get_vocab(self._model)))
        self._context = self._make_context(task)
        if not self._context:
            raise RuntimeError("llama.cpp could not make a context")

    def _make_context(self, task: Task) -> Any:
        params = self._c.llama_context_default_params()
        params.n_ctx = task.context_tokens or _STOCK_CONTEXT_TOKENS
        params.n_batch = min(_STOCK_BATCH_TOKENS, params.n_ctx)
        params.n_ubatch = min(_STOCK_MICRO_BATCH_TOKENS, params.n_batch)
        params.n_outputs_max = 1  # the last token's logits: nothing more is asked for
        params.n_threads = params.n_threads_batch = task.threads
        return self._c.llama_init_from_model(self._model, params)

    def answer(self, prompt: Sequence[int], answer: Sequence[int], clock: StepClock) -> None:
        clock.start()
        for start in range(0, len(prompt), _STOCK_BATCH_TOKENS):
            self._decode(prompt[start : start + _STOCK_BATCH_TOKENS], clock)
        for token in answer:
            self._decode([token], clock)

    def _decode(self, tokens: Sequence[int], clock: StepClock) -> None:
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        code = self._c.llama_decode(self._context, self._c.llama_batch_get_one(array, len(tokens)))
        if code:
            raise RuntimeError(f"llama_decode returned {code}")
        clock.step(len(tokens))

    def memory_usage(self) -> Any:
        return None

    def close(self) -> None:
        self._c.llama_free(self._context)
        self._c.llama_model_free(self._model)
