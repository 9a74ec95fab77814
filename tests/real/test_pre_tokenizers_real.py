"""Every pre-tokenizer that llama.cpp knows reads 100,000 characters of any run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pre_tokenizers import NAMES, write_vocabulary
from support.tokenizing_child import tokenize_runs


@pytest.mark.parametrize("start", range(0, len(NAMES), 10))
def test_endless_runs_end_no_process(tmp_path: Path, start: int) -> None:
    names = NAMES[start : start + 10]
    tokenize_runs([write_vocabulary(tmp_path / f"{name}.gguf", name) for name in names], 100_000)
