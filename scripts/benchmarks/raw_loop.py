"""llama.cpp's own loop with nothing around it: llama_decode, llama_sampler_sample, again."""

from __future__ import annotations

import ctypes
import time
from types import TracebackType

from edge_runtime.backends.llama.library import native
from edge_runtime.values.records import SamplingOptions

from .models import CONTEXT_TOKENS, THREADS, model_path


class RawLoop:
    """The same model and context size as the engine's, through the same binding."""

    def __init__(self, name: str) -> None:
        c = self._c = native()
        self._model = c.llama_model_load_from_file(
            str(model_path(name)).encode(), c.llama_model_default_params()
        )
        params = c.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = CONTEXT_TOKENS, 512, 512
        params.n_threads = params.n_threads_batch = THREADS
        self._context = c.llama_init_from_model(self._model, params)
        self._vocabulary = c.llama_model_get_vocab(self._model)

    def tokens_per_s(self, prompt: str, count: int, sampling: SamplingOptions) -> float:
        """Decode `count` tokens after `prompt`, whatever they are; the prompt is not timed."""
        c = self._c
        sampler = self._make_sampler(sampling)
        c.llama_memory_clear(c.llama_get_memory(self._context), True)
        tokens = (ctypes.c_int32 * 512)()
        raw = prompt.encode()
        size = c.llama_tokenize(self._vocabulary, raw, len(raw), tokens, 512, True, True)
        c.llama_decode(self._context, c.llama_batch_get_one(tokens, size))
        token = c.llama_sampler_sample(sampler, self._context, -1)
        one = (ctypes.c_int32 * 1)()
        started_s = time.perf_counter()
        for _ in range(count):
            one[0] = token
            c.llama_decode(self._context, c.llama_batch_get_one(one, 1))
            token = c.llama_sampler_sample(sampler, self._context, -1)
        duration_s = time.perf_counter() - started_s
        c.llama_sampler_free(sampler)
        return count / duration_s

    def _make_sampler(self, sampling: SamplingOptions) -> object:
        c = self._c
        chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if sampling.greedy:
            c.llama_sampler_chain_add(chain, c.llama_sampler_init_greedy())
            return chain
        for step in (
            c.llama_sampler_init_top_k(sampling.top_k),
            c.llama_sampler_init_top_p(sampling.top_p, 1),
            c.llama_sampler_init_temp(sampling.temperature),
            c.llama_sampler_init_dist(sampling.seed or 0),
        ):
            c.llama_sampler_chain_add(chain, step)
        return chain

    def __enter__(self) -> RawLoop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._c.llama_free(self._context)
        self._c.llama_model_free(self._model)
