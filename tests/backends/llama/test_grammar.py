"""Grammars in llama.cpp itself: the trial in a child process, and schemas through its sampler."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.gbnf import Gbnf
from support.json_schema_suite import validator_for
from support.schemas_in_use import SCHEMAS_IN_USE

from edge_runtime.backends.guard.grammar import try_grammar
from edge_runtime.backends.llama.model import LlamaModel
from edge_runtime.backends.llama.sampling import LlamaSampler
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from edge_runtime.values.records import SamplingOptions

ANY_TOKEN = SamplingOptions(temperature=2.0, top_k=0, top_p=1.0, min_p=0.0, penalty_window_tokens=0)
MOST_TOKENS = 600


@pytest.fixture
def model(tiny: Path) -> LlamaModel:
    """A vocabulary of bytes; the end token is number 2."""
    return LlamaModel(tiny, vocab_only=True, gpu_layers=0)


def answer(model: LlamaModel, grammar: str, seed: int) -> str | None:
    """Random tokens that the grammar allows, with a liking for those that close something; None: no end."""
    rng = np.random.default_rng(seed)
    sampler = LlamaSampler(model, ANY_TOKEN, grammar, seed)
    said = b""
    bias = np.zeros(model.vocabulary_size, np.float32)
    bias[2] = 6.0
    for token in range(model.vocabulary_size):
        bias[token] += 3.0 * (model.token_text(token).shown in (b'"', b"]", b"}"))
    try:
        for _ in range(MOST_TOKENS):
            logits = rng.normal(0, 2, model.vocabulary_size).astype(np.float32) + bias
            text = model.token_text(sampler.sample(logits))
            if text.is_end:
                return said.decode()
            said += text.shown
    finally:
        sampler.close()
    return None


@pytest.mark.parametrize("name", SCHEMAS_IN_USE)
def test_what_llama_cpp_draws_is_valid(name: str, model: LlamaModel) -> None:
    schema = SCHEMAS_IN_USE[name]
    text = grammar_of_schema(schema)
    validator = validator_for(schema, "draft7" if "draft-07" in schema.get("$schema", "") else "")
    found = [answer(model, text, seed) for seed in range(4)]
    finished = [one for one in found if one is not None]
    assert finished
    for one in finished:
        assert validator.is_valid(json.loads(one)), one


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 65536},
        {"type": "string", "minLength": 5000},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 65536},
        {"type": "object", "properties": {f"p{i}": {"type": "null"} for i in range(600)}},
    ],
    ids=["maxLength", "minLength", "maxItems", "properties"],
)
def test_large_bounds_are_read_by_llama_cpp(schema: dict[str, Any], model: LlamaModel) -> None:
    LlamaSampler(model, ANY_TOKEN, grammar_of_schema(schema), 1).close()


def test_llama_cpp_and_the_tests_interpreter_agree(model: LlamaModel) -> None:
    """Else the interpreter would prove nothing."""
    for name in ("function: weather", "pydantic: constrained fields", "zod: record"):
        text = grammar_of_schema(SCHEMAS_IN_USE[name])
        grammar = Gbnf(text)
        drawn = [one for seed in range(6) if (one := answer(model, text, seed)) is not None]
        assert drawn and all(map(grammar.matches, drawn))
        for _ in range(6):
            assert accepts(model, text, grammar.sample(random.Random(name)))


def accepts(model: LlamaModel, grammar: str, text: str) -> bool:
    """Whether llama.cpp lets these bytes be drawn one by one, and the end then."""
    tokens = {model.token_text(token).shown: token for token in range(model.vocabulary_size)}
    sampler = LlamaSampler(model, SamplingOptions(temperature=0), grammar, 1)
    try:
        for wanted in [*(tokens[bytes([byte])] for byte in text.encode()), 2]:
            logits = np.full(model.vocabulary_size, -10.0, np.float32)
            logits[wanted] = 10.0
            if sampler.sample(logits) != wanted:
                return False
    finally:
        sampler.close()
    return True


def test_the_child_reads_a_good_grammar() -> None:
    assert try_grammar('root ::= "yes" | "no" <[0]>') == ""


def test_the_child_dies_of_a_grammar_and_we_do_not() -> None:
    assert try_grammar("root ::= " + "(" * 200_000 + '"a"' + ")" * 200_000).startswith("ended by SIG")


def test_what_the_child_refuses_is_told() -> None:
    assert try_grammar("root ::= x").startswith("it cannot read it")
