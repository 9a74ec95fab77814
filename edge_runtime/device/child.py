"""How a child process of ours is started: the same package, and no debugger when it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def child_command(module: str, *arguments: str) -> list[str]:
    """Of this package: "llama_backend.trial"."""
    return [sys.executable, "-m", f"edge_runtime.{module}", *arguments]


def child_environment() -> dict[str, str]:
    """It finds this package wherever we were found, and an abort in llama.cpp starts no gdb."""
    package_parent = str(Path(__file__).resolve().parents[2])
    paths = [package_parent, os.environ.get("PYTHONPATH", "")]
    search_path = os.pathsep.join(path for path in paths if path)
    return {**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONPATH": search_path}
