"""A shell script in Python's place, for tests of child processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def python_that(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a shell script in Python's place: `script` sees the arguments, then Python runs. Logs each run."""
    log = folder / "runs"
    stand_in = folder / "python"
    stand_in.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\n{script}\nexec "{sys.executable}" "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    return log
