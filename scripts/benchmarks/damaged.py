"""A thousand damaged model files, each opened and asked for a token as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np

from .table import Row

_FILES = 1000
_ROOT = Path(__file__).parents[2]


def measure(repeat: int) -> list[Row]:
    """In two child processes, as many as there are cores: a crash would end one and be seen."""
    started_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        children = [_start(kind, Path(folder) / kind) for kind in ("llama", "gemma3")]
        outputs = [child.communicate()[0] for child in children]
    duration_s = time.perf_counter() - started_s
    crashes = sum(child.returncode != 0 for child in children)
    ends: Counter[str] = Counter()
    for output in outputs:
        ends.update(json.loads(output.splitlines()[-1]) if output.strip() else {})
    foreign = sum(count for name, count in ends.items() if name.startswith("foreign"))
    note = ", ".join(f"{count} {name}" for name, count in ends.most_common())
    return [
        Row("damaged files: opened", sum(ends.values()), "files", least=_FILES, note=note),
        Row("damaged files: crashes, or errors that are not ours", crashes + foreign, "", most=0),
        Row("damaged files: all of them", duration_s, "s", most=60),
    ]


def _start(kind: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.benchmarks.damaged", kind, str(folder)]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def _open_all(kind: str, folder: Path) -> Counter[str]:
    sys.path.insert(0, str(_ROOT / "tests"))
    builders, mutations = import_module("support.builders"), import_module("support.mutations")
    sound = getattr(builders, f"tiny_{kind}_gguf")()
    folder.mkdir()
    rng = np.random.default_rng(len(kind))
    ends: Counter[str] = Counter()
    for number, (_, data) in enumerate(mutations.mutated_files(sound, _FILES // 2, rng)):
        path = folder / f"{number}.gguf"
        path.write_bytes(data)
        ends[_open(path)] += 1
        path.unlink()
    return ends


def _open(path: Path) -> str:
    from edge_runtime import EdgeRuntimeError, Runtime

    try:
        with Runtime.open(path, context_tokens=32, threads=1) as runtime:
            runtime.generate("a", raw=True, max_tokens=1)
    except EdgeRuntimeError as error:
        return type(error).__name__
    except Exception as error:  # what is counted here  # noqa: BLE001
        return f"foreign {type(error).__name__}"
    return "ran"


if __name__ == "__main__":
    print(json.dumps(_open_all(sys.argv[1], Path(sys.argv[2]))))
