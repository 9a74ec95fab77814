"""Random and damaged schemas and grammars, a few of those that the script tries by the thousand."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from support.gbnf import Gbnf
from support.json_schema_suite import validator_for

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from scripts.benchmarks import hostile_grammars
from scripts.benchmarks.hostile_inputs import a_schema


def test_nothing_dies_and_nothing_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert hostile_grammars.main(["--many", "300", "--first", "20000"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert sum(found["outcomes"].values()) == 300
    for kind in ("schema", "grammar"):
        assert found["outcomes"][f"{kind}: accepted"] > 15 and found["outcomes"][f"{kind}: refused"] > 15


def test_a_death_is_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Else none would prove nothing."""
    monkeypatch.setattr(hostile_grammars, "_MODULE", "faulthandler_is_no_such_module")
    assert hostile_grammars.main(["--many", "2"]) == 1
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["dead"]) == 2


def test_answers_of_random_schemas_are_valid() -> None:
    accepted, wrong = 0, []
    for number in range(500):
        schema: Any = a_schema(number, sane=True)
        try:
            grammar = Gbnf(grammar_of_schema(schema))
        except OptionInvalid:
            continue
        accepted += 1
        validator, draw = validator_for(schema), random.Random(number)
        for text in (grammar.sample(draw) for _ in range(4)):
            if not validator.is_valid(json.loads(text)):
                wrong.append((schema, text))
    assert wrong == []
    assert accepted > 350
