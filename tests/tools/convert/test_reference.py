"""`convert` against llama.cpp's own converters: see scripts/reference_conversions.sh.

The group `reference`: skipped where the reference environment has not been made, since that
takes torch and transformers. `scripts/reference_conversions.sh --make-only` makes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.reference.cases import CASES
from scripts.reference.cases_compared import compare_case

# Now, while HOME is still the user's: the user_folder fixture moves it for each test.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-runtime" / "reference"
FIXTURES = Path(os.environ.get("EDGE_RUNTIME_REFERENCE", CACHE)) / "checkpoints"
MADE = sorted(path.parent.name for path in FIXTURES.glob("*/greedy.json"))

pytestmark = pytest.mark.reference


@pytest.mark.skipif(not MADE, reason="scripts/reference_conversions.sh --make-only makes the checkpoints")
@pytest.mark.parametrize("case", MADE or ["none"])
def test_the_files_are_the_same_and_llama_cpp_answers_as_transformers_does(case: str) -> None:
    rows = list(compare_case(FIXTURES / case))
    assert {row.type: row.differences for row in rows if row.differences} == {}
    assert all(row.answer for row in rows)
    assert len(rows) == (5 if case in CASES else 3)
