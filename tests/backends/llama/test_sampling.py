"""Our few candidates against llama.cpp's whole chain over all tokens: the same token, always."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_runtime.backends.llama.candidates import CandidateFinder, nucleus_ids, top_ids
from edge_runtime.backends.llama.library import native
from edge_runtime.backends.llama.sampling import LlamaSampler
from edge_runtime.errors import BackendFailed, OptionInvalid
from edge_runtime.values.records import SamplingOptions

SEED = 7


class WholeChain:
    """llama.cpp as its own tools use it: penalties, top-k, top-p, min-p, temperature, draw; all tokens."""

    def __init__(self, sampling: SamplingOptions, size: int) -> None:
        c = self._c = native()
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        steps = [
            c.llama_sampler_init_penalties(
                size,
                sampling.penalty_window_tokens,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            ),
            c.llama_sampler_init_top_k(sampling.top_k),
            c.llama_sampler_init_top_p(sampling.top_p, 1),
            c.llama_sampler_init_min_p(sampling.min_p, 1),
            c.llama_sampler_init_temp(sampling.temperature),
            c.llama_sampler_init_greedy() if sampling.greedy else c.llama_sampler_init_dist(SEED),
        ]
        for step in steps:
            c.llama_sampler_chain_add(self._chain, step)

    def sample(self, logits: np.ndarray) -> int:
        rows = (self._c.llama_token_data * len(logits))()
        table = np.frombuffer(rows, [("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        table["id"], table["logit"] = np.arange(len(logits)), logits
        array = self._c.llama_token_data_array(rows, len(logits), -1, False)
        self._c.llama_sampler_apply(self._chain, ctypes.byref(array))
        token = int(array.data[array.selected].id)
        self._c.llama_sampler_accept(self._chain, token)
        return token


def rows_like_a_model(size: int, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A broad mass of unlikely tokens and a few dozen likely ones, so that tokens repeat."""
    favourites = rng.choice(size, 40, replace=False)
    for row in range(count):
        logits = rng.normal(-4.0, 2.5, size).astype(np.float32)
        logits[favourites] += rng.gamma(2.0, 4.0, len(favourites)).astype(np.float32)
        if row % 7 == 0:
            logits -= 30.0  # all negative: penalties multiply there
        yield logits


@pytest.mark.parametrize("size", [257, 5_000, 49_152, 262_144])
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": 1.0, "top_k": 64, "top_p": 0.95, "min_p": 0.0},
        {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
        {"temperature": 1.3, "top_k": 700, "top_p": 0.99, "min_p": 0.0},
        {"temperature": 0.9, "top_k": 0, "top_p": 0.9, "min_p": 0.0},
        {"temperature": 0.9, "top_k": 0, "top_p": 0.95, "min_p": 0.02},
        {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.1},
        {"temperature": 0.7, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
        {"temperature": 1.0, "top_k": 20, "repeat_penalty": 1.3, "penalty_window_tokens": 8},
        {"temperature": 0.0, "repeat_penalty": 1.2, "frequency_penalty": 0.4, "presence_penalty": 0.3},
        {"temperature": 1.0, "top_k": 30, "repeat_penalty": 0.8, "presence_penalty": -1.5},
    ],
    ids=str,
)
def test_same_token_as_the_whole_chain(size: int, options: dict[str, Any], rng: np.random.Generator) -> None:
    sampling = SamplingOptions(**options)
    ours, theirs = LlamaSampler(None, sampling, None, SEED), WholeChain(sampling, size)  # type: ignore[arg-type]
    count = 40 if size < 100_000 else 12
    drawn = [(ours.sample(row.copy()), theirs.sample(row)) for row in rows_like_a_model(size, count, rng)]
    ours.close()
    assert [a for a, _ in drawn] == [b for _, b in drawn]
    assert len({a for a, _ in drawn}) > 3  # a test that always draws the same token would prove little


@pytest.mark.parametrize("size", [100, 8_191, 8_192, 49_157, 262_144])
@pytest.mark.parametrize("count", [1, 64, 300, 5_000])
def test_top_ids_holds_every_one_of_the_largest(size: int, count: int, rng: np.random.Generator) -> None:
    for logits in (
        rng.normal(0, 3, size).astype(np.float32),
        np.sort(rng.normal(0, 3, size)).astype(np.float32),  # all the largest in the last block
        rng.integers(0, 5, size).astype(np.float32),  # ties everywhere
    ):
        ids = top_ids(logits, count)
        wanted = min(count, size)
        assert np.array_equal(np.sort(logits[ids])[-wanted:], np.sort(logits)[-wanted:])
        assert len(set(ids.tolist())) == len(ids)


def test_the_remembered_cut_never_loses_a_candidate(rng: np.random.Generator) -> None:
    """Rows whose level and spread jump: the cut of the row before is of no use there."""
    finder = CandidateFinder(SamplingOptions(top_k=50))
    for level in (0.0, 40.0, -40.0, -40.0, 0.0, 3.0, -3.0, 0.0, 0.0, 0.0):
        logits = rng.normal(level, 1 + abs(level) / 4, 30_000).astype(np.float32)
        ids = finder.find(logits)
        assert set(np.argsort(logits)[-50:]) <= set(ids.tolist())


@pytest.mark.parametrize("where", [slice(0, 10), slice(20_000, 29_000)])
def test_forbidden_tokens_do_not_disturb_the_cut(where: slice, rng: np.random.Generator) -> None:
    finder = CandidateFinder(SamplingOptions(top_k=50))
    for _ in range(5):
        logits = rng.normal(0, 1, 30_000).astype(np.float32)
        logits[where] = -np.inf
        ids = finder.find(logits)
        assert set(np.argsort(logits)[-50:]) <= set(ids.tolist())
        assert len(ids) < 2000


def test_nucleus_is_the_smallest_that_reaches_the_share() -> None:
    logits = np.log(np.array([0.1, 0.5, 0.25, 0.15], np.float32))
    assert nucleus_ids(logits, 0.7).tolist() == [1, 2]
    assert nucleus_ids(logits, 0.76).tolist() == [1, 2, 3]
    assert nucleus_ids(logits, 0.0).tolist() == [1]


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"top_k": 40},
        {"top_k": 0, "min_p": 0.1},
        {"top_k": 0, "top_p": 1.0, "min_p": 0.0},
    ],
)
def test_logits_that_are_not_numbers_end_in_our_error(options: dict[str, Any]) -> None:
    sampler = LlamaSampler(None, SamplingOptions(**options), None, SEED)  # type: ignore[arg-type]
    with pytest.raises(BackendFailed, match="not numbers"):
        sampler.sample(np.full(20_000, np.nan, np.float32))
    sampler.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -0.1), ("temperature", float("nan")), ("top_p", 1.1), ("top_k", -1), ("seed", 2**32)],
)
def test_a_value_outside_its_range_is_named(name: str, value: float) -> None:
    with pytest.raises(OptionInvalid, match=name):
        SamplingOptions(**{name: value})  # type: ignore[arg-type]
