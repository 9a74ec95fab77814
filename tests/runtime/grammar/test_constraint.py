"""Schemas and grammars as options: refused before anything is generated, remembered once good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar import constraint
from edge_runtime.runtime.grammar.constraint import grammar_of_options
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import GenerationOptions

DOUBLING = 'root ::= s\ns ::= "a" s "b" | "a" s "c" | "d"'


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    constraint._checked.cache_clear()


def test_a_refused_option_starts_nothing(tiny: Path) -> None:
    seen: list[Any] = []
    with Runtime.open(tiny, context_tokens=64, threads=1) as runtime:
        for options in ({"json_schema": {"type": "x"}}, {"grammar": ""}, {"grammar": "root ::= ("}):
            with pytest.raises(OptionInvalid):
                seen.append(runtime.generate("a", raw=True, stream=True, **options))  # type: ignore[call-overload]
        assert runtime.generate("a", raw=True, max_tokens=1, grammar='root ::= "b"').text == "b"
    assert seen == []


def test_answers_satisfy_their_schema(tiny: Path) -> None:
    schema = {
        "properties": {"a": {"type": "string", "maxLength": 3}, "b": {"enum": ["\U0001f600", 'x"y']}},
        "required": ["a", "b"],
    }
    finished = 0
    with Runtime.open(tiny, context_tokens=256, threads=1) as runtime:
        for seed in range(12):
            reply = runtime.generate(
                "a",
                raw=True,
                json_schema=schema,
                seed=seed,
                temperature=2.0,
                top_k=0,
                top_p=1,
                max_tokens=120,
            )
            if reply.finish_reason.value == "stop":
                finished += 1
                found = json.loads(reply.text)
                assert len(found["a"]) <= 3 and found["b"] in ("\U0001f600", 'x"y')
    assert finished >= 6


def test_a_good_grammar_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(constraint, "try_grammar", lambda text: tried.append(text) or "")
    options = GenerationOptions(grammar='root ::= "a" <|im_end|> !<x> | <[7]>')
    assert grammar_of_options(options) == grammar_of_options(options) == options.grammar
    assert tried == ['root ::= "a" <[0]> !<[0]> | <[0]>']


def test_readings_that_double_are_found_by_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionInvalid, match=r"grammar: llama\.cpp cannot follow it: ") as caught:
        grammar_of_options(GenerationOptions(grammar=DOUBLING))
    assert caught.value.facts["option"] == "grammar"


def test_without_children_the_check_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")
    good = GenerationOptions(grammar='root ::= "a" | <|im_end|>')
    assert grammar_of_options(good) == good.grammar
    for text in ("", "root ::= " + "(" * 1000, 'root ::= root "a"'):
        with pytest.raises(OptionInvalid):
            grammar_of_options(GenerationOptions(grammar=text))


def test_tuples_in_a_schema_are_lists() -> None:
    found = grammar_of_options(GenerationOptions(json_schema={"enum": ("a", "b")}))
    assert found is not None and found.startswith('root ::= "\\"a\\"" | "\\"b\\""')
