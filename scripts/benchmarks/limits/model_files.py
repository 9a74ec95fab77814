"""The model files that the cases name, made with random weights where they are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_runtime.device.folders import cache_folder

_ROOT = Path(__file__).parents[3]

# File -> shape, and the types of its classes: see `edge-runtime synth --help`.
_CLASSES = ("--body", "--embedding", "--ple", "--other", "--untouched")
_SHAPES = {
    "e2b-q4_0-q6_k-q8_0.gguf": ("gemma-3n-e2b", "Q4_0", "Q6_K", "Q8_0", "Q8_0", "F32"),
    "e2b-q4_0.gguf": ("gemma-3n-e2b", "Q4_0", "Q4_0", "Q4_0", "Q8_0", "Q8_0"),
    "e4b-q4_0.gguf": ("gemma-3n-e4b", "Q4_0", "Q4_0", "Q4_0", "Q8_0", "Q8_0"),
    "gemma3-1b-q4_0.gguf": ("gemma-3-1b", "Q4_0", "Q4_0", "Q4_0", "Q8_0", "F32"),
    "g4e2b-q4_0.gguf": ("gemma-4-e2b", "Q4_0", "Q4_0", "Q4_0", "Q8_0", "Q8_0"),
    "g4e4b-q4_0.gguf": ("gemma-4-e4b", "Q4_0", "Q4_0", "Q4_0", "Q8_0", "Q8_0"),
}


class ModelMissing(Exception):
    """The file is not there and could not be made."""


def default_folder() -> Path:
    return cache_folder() / "bench"


def model_at(model: str, folder: Path) -> str:
    """A path to the file, which is made when it is missing; a catalog name stays as it is."""
    if model not in _SHAPES:
        return model
    path = folder / model
    if not path.exists():
        _make(path)
    return str(path)


def _make(path: Path) -> None:
    shape, *types = _SHAPES[path.name]
    classes = zip(_CLASSES, types, strict=True)
    options = [word for pair in classes for word in pair]
    print(f"… {path.name}", file=sys.stderr, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "edge_runtime", "synth", shape, "-o", str(path), *options]
    done = subprocess.run(command, cwd=_ROOT, stdout=sys.stderr, check=False)
    if done.returncode or not path.exists():
        raise ModelMissing(f"{path} is not there, and `{' '.join(command[2:])}` could not make it")
