"""`convert` against llama.cpp's own converter: see scripts/reference_conversions.sh.

The group `reference`: skipped where the reference environment has not been made, since that
takes torch and transformers. `scripts/reference_conversions.sh --make-only` makes it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "reference_conversions.py"
# Now, while HOME is still the user's: the user_folder fixture moves it for each test.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge_runtime" / "reference"
FIXTURES = Path(os.environ.get("EDGE_RUNTIME_REFERENCE", CACHE)) / "checkpoints"
CASES = sorted(path.parent.name for path in FIXTURES.glob("*/Tiny-Model")) if FIXTURES.is_dir() else []

pytestmark = pytest.mark.reference


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_conversions", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not CASES, reason="scripts/reference_conversions.sh --make-only makes the checkpoints")
@pytest.mark.parametrize("case", CASES or ["none"])
def test_the_files_are_the_same(case: str) -> None:
    differences = {
        row.type: row.differences for row in script().compare_case(FIXTURES / case) if row.differences
    }
    assert differences == {}
