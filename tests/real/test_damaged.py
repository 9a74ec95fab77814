"""Damaged model files opened for real: our errors or an answer, never a crash.

scripts/bench.sh damaged does the same with a thousand; see the README.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.builders import tiny_gemma3_gguf, tiny_llama_gguf
from support.mutations import mutated_files
from support.places import ROOT

_COUNT = 120

_OPEN_ALL = """
import sys
from collections import Counter
from pathlib import Path
from edge_runtime import EdgeRuntimeError, Runtime
ends = Counter()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        with Runtime.open(path, context_tokens=32, threads=1) as runtime:
            runtime.generate("a", raw=True, max_tokens=1)
        ends["ran"] += 1
    except EdgeRuntimeError as error:
        ends["ours"] += 1
        assert str(error) and error.code != "edge_runtime_error", error
import json
print(json.dumps(ends))
"""


@pytest.mark.parametrize("make", [tiny_llama_gguf, tiny_gemma3_gguf])
def test_damaged_files_end_in_our_errors(make: object, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    rng = np.random.default_rng(1)  # other files than the benchmark's
    for number, (_, data) in enumerate(mutated_files(make(), _COUNT, rng)):  # type: ignore[operator]
        (folder / f"{number:04}.gguf").write_bytes(data)
    command = [sys.executable, "-c", _OPEN_ALL, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    ends = json.loads(done.stdout)
    assert ends["ours"] + ends["ran"] == _COUNT
    assert ends["ours"] > _COUNT / 3 and ends["ran"] > 0  # both kinds were among them
