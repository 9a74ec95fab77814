"""Drawing a token: llama.cpp's sampler chain over the few candidates that can win."""

from __future__ import annotations

import codecs
import ctypes
import struct
from collections import deque
from typing import Any

import numpy as np

from ...errors import BackendFailed, OptionInvalid
from ...values.records import SamplingOptions
from ..backend import Float32Array
from .candidates import CandidateFinder, Int64Array, penalize, top_ids
from .library import native
from .model import LlamaModel

# The layout of llama_token_data (include/llama.h).
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_INTS_IN_CANDIDATE = 3
# llama_token_data_array behind its pointer: size, selected, sorted; written in one call.
_write_state = struct.Struct("@Nq?").pack_into
_STATE_OFFSET = ctypes.sizeof(ctypes.c_void_p)
_GRAMMAR_WIDTHS = (64, 2048)  # how many candidates to try before all of them


class LlamaSampler:
    """One request's sampler: penalty window, random state, grammar."""

    def __init__(self, model: LlamaModel, sampling: SamplingOptions, grammar: str | None, seed: int) -> None:
        """Raises OptionInvalid when the grammar does not parse."""
        self._c = native()
        self._sampling = sampling
        self._recent: deque[int] = deque()
        self._recent_counts: dict[int, int] = {}
        self._greedy, self._penalizes = sampling.greedy, sampling.penalizes
        self._array = self._c.llama_token_data_array()
        self._array_reference = ctypes.byref(self._array)
        self._candidates = CandidateFinder(sampling)
        self._make_table(1024)
        self._apply = _apply_function(self._c)
        self._grammar = _make_grammar(model, grammar) if grammar is not None else None
        self._model = model
        self._half_char = b""  # bytes of a character that is not complete; with a grammar only
        self._chain = _make_chain(sampling, seed)

    def sample(self, logits: Float32Array) -> int:
        """(vocabulary,) -> token id. Penalties change `logits` in place.

        Raises BackendFailed when the logits are not numbers, or the grammar allows no token.
        """
        if self._penalizes:
            penalize(logits, self._recent_counts, self._sampling)
        token = self._choose(logits)
        if self._grammar is not None:
            token = self._obey_grammar(logits, token)
        if self._penalizes:
            self._remember(token)
        return token

    def _choose(self, logits: Float32Array) -> int:
        """(n,) -> index into it: the largest, or one drawn by the chain."""
        if self._greedy:
            index = int(logits.argmax())
            if logits[index] != logits[index]:  # only NaN differs from itself
                raise _not_numbers()
            return index
        ids = self._candidates.find(logits)
        if not len(ids):  # comparisons with NaN are all false
            raise _not_numbers()
        self._fill(logits, ids)
        self._apply(self._chain, self._array_reference)
        token: int = self._table[_INTS_IN_CANDIDATE * self._array.selected]
        return token

    def _fill(self, logits: Float32Array, ids: Int64Array) -> None:
        """Hand `ids` and their logits to llama.cpp's side."""
        count = len(ids)
        if count > len(self._ids):
            self._make_table(count)
        self._ids[:count] = ids
        self._logits[:count] = logits[ids]
        _write_state(self._array, _STATE_OFFSET, count, -1, False)

    def _make_table(self, rows: int) -> None:
        table = np.zeros(rows, _CANDIDATE)
        self._ids, self._logits = table["id"], table["logit"]  # views; they keep the table alive
        self._table = table.view(np.int32).data  # a memory view: quicker than numpy for a single number
        self._array.data = ctypes.cast(table.ctypes.data, type(self._array.data))

    def _obey_grammar(self, logits: Float32Array, token: int) -> int:
        """Keep `token` if the grammar allows it, else choose again among those it does allow.

        As llama.cpp's own tools do: checking one token costs microseconds,
        checking 262,144 of them tens of milliseconds.
        """
        if not len(self._allowed(logits, np.array([token]))):
            ids = self._allowed_of_all(logits)
            token = int(ids[self._choose(logits[ids])])
        self._c.llama_sampler_accept(self._grammar, token)
        said = self._half_char + self._model.token_text(token).shown
        self._half_char = said[codecs.utf_8_decode(said, "replace", False)[1] :]
        return token

    def _allowed(self, logits: Float32Array, ids: Int64Array) -> Int64Array:
        self._fill(logits, ids)
        self._apply(self._grammar, self._array_reference)
        kept: Int64Array = ids[self._logits[: len(ids)] != -np.inf]
        if self._half_char:
            kept = kept[[self._goes_on(int(token)) for token in kept]]
        return kept

    def _goes_on(self, token: int) -> bool:
        """Whether a token of part of a character makes UTF-8 of it: llama.cpp allows overlong forms."""
        try:
            codecs.utf_8_decode(self._half_char + self._model.token_text(token).shown, "strict", False)
        except UnicodeDecodeError:
            return False
        return True

    def _allowed_of_all(self, logits: Float32Array) -> Int64Array:
        """Allowed ids, enough of them that more would change nothing."""
        enough = 1 if self._greedy else self._sampling.top_k
        for width in _GRAMMAR_WIDTHS if enough else ():
            ids = self._allowed(logits, top_ids(logits, width))
            if len(ids) >= enough:
                return ids
        ids = self._allowed(logits, np.arange(len(logits)))
        if not len(ids):
            raise BackendFailed(
                "no token of this vocabulary can continue the grammar",
                hint="simplify the grammar or schema",
                session_good=True,
            )
        return ids

    def _remember(self, token: int) -> None:
        self._recent.append(token)
        self._recent_counts[token] = self._recent_counts.get(token, 0) + 1
        if len(self._recent) > self._sampling.penalty_window_tokens:
            oldest = self._recent.popleft()
            self._recent_counts[oldest] -= 1
            if not self._recent_counts[oldest]:
                del self._recent_counts[oldest]

    def close(self) -> None:
        for sampler in (self._chain, self._grammar):
            if sampler is not None:
                self._c.llama_sampler_free(sampler)
        self._chain = self._grammar = None


def _not_numbers() -> BackendFailed:
    return BackendFailed("the model produced logits that are not numbers", session_good=True)


def _apply_function(c: Any) -> Any:
    """llama_sampler_apply without giving up the GIL: see LlamaContext._bind_fast_calls."""
    return ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(("llama_sampler_apply", c._lib))


def _make_chain(sampling: SamplingOptions, seed: int) -> object | None:
    """llama.cpp's chain without the steps done on the whole row; None for greedy."""
    if sampling.greedy:
        return None
    c = native()
    chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
    steps = []
    if sampling.top_k:  # without it the nucleus has been cut before the chain sees anything
        steps = [c.llama_sampler_init_top_k(sampling.top_k), c.llama_sampler_init_top_p(sampling.top_p, 1)]
    steps += [
        c.llama_sampler_init_min_p(sampling.min_p, 1),
        c.llama_sampler_init_temp(sampling.temperature),
        c.llama_sampler_init_dist(seed),
    ]
    for step in steps:
        c.llama_sampler_chain_add(chain, step)
    return chain  # type: ignore[no-any-return]


def _make_grammar(model: LlamaModel, grammar: str) -> object:
    c = native()
    sampler = c.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
    if not sampler:
        raise OptionInvalid(
            "grammar: llama.cpp cannot read it",
            hint='it must be GBNF with a rule named "root" and no left recursion',
            option="grammar",
        )
    return sampler
