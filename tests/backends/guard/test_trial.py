"""The crash guard's child loads little: it is started for every new file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CODE = """
import sys
from pathlib import Path
from edge_runtime.backends.llama import trial
print(repr(trial.try_model(Path(sys.argv[1]), use_extra_bufts=True, decode=True)))
print(*sys.modules)
"""


def test_a_dry_run_loads_neither_numpy_nor_the_planner(tiny: Path) -> None:
    code = """
import sys
from pathlib import Path
from edge_runtime.backends.context_settings import ContextSettings
from edge_runtime.backends.llama import dry_run
print(dry_run._run_here(Path(sys.argv[1]), ContextSettings(256)).compute_bytes > 0)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True, check=True)
    answer, modules = done.stdout.splitlines()
    loaded = set(modules.split())
    assert answer == "True" and "numpy" not in loaded
    loaded -= {"edge_runtime.gguf", "edge_runtime.gguf.tensor_names"}  # names alone: they import `re`
    assert not {name for name in loaded if name.startswith(("edge_runtime.memory", "edge_runtime.gguf"))}


def test_a_trial_loads_neither_numpy_nor_the_planner_nor_the_engine(tiny: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(tiny)], capture_output=True, text=True, check=True
    )
    problem, modules = done.stdout.splitlines()
    loaded = set(modules.split())
    assert problem == "''" and "edge_runtime.backends.llama.model" in loaded
    assert "numpy" not in loaded
    ours = {name for name in loaded if name.startswith("edge_runtime.")}
    ours -= {"edge_runtime.gguf", "edge_runtime.gguf.tensor_names"}  # names alone: they import `re`
    for folder in ("memory", "gguf", "catalog", "runtime", "backends.guard"):
        assert not {name for name in ours if name.startswith(f"edge_runtime.{folder}")}, folder
    assert len(ours) <= 25
