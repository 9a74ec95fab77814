"""A few hundred of the hostile inputs of scripts.benchmarks.hostile_prompts: nothing dies, nothing hangs."""

from __future__ import annotations

from pathlib import Path

from support.pre_tokenizers import write_vocabulary

from scripts.benchmarks.hostile_prompts import LIMIT_S, measure, template_of


def test_templates_end_in_a_text_or_an_error() -> None:
    found = measure("templates", 0, 60, [])
    assert not found["dead"] and found["slowest_s"] < LIMIT_S
    assert sum(found["outcomes"].values()) == 60 and len(found["outcomes"]) == 2  # both happen


def test_prompts_are_tokenized(tmp_path: Path) -> None:
    names = ("tekken", "gpt-4o", "deepseek-llm", "exaone-moe", "default")
    paths = [write_vocabulary(tmp_path / f"{name}.gguf", name) for name in names]
    found = measure("prompts", 0, 100, paths)
    assert not found["dead"] and found["slowest_s"] < LIMIT_S
    assert found["outcomes"] == {"tokenized": 100}


def test_a_number_always_makes_the_same_template() -> None:
    assert template_of(7) == template_of(7) != template_of(9)
