"""The only place that starts Python as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .allowed import child_unavailable, why_no_children
from .ending import ChildEnd, ending

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[3])


def run_child(
    module: str, task: Mapping[str, Any], *, limit_s: float, children: bool | None = None
) -> ChildEnd:
    """Let `python -m module` do `task`, and wait until it has ended: see answer.py for its side.

    Raises ChildUnavailable when no child may or can be started: see why_no_children().
    """
    return run_python(["-m", module, json.dumps(task)], limit_s=limit_s, children=children)


def run_python(
    arguments: Sequence[str],
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    merge_streams: bool = False,
    children: bool | None = None,
) -> ChildEnd:
    """Run this Python with `arguments`; `environment` replaces the one of our own children.

    merge_streams: stderr goes to `output` too, line by line. Raises ChildUnavailable.
    """
    errors = subprocess.STDOUT if merge_streams else subprocess.PIPE
    process = start_python(arguments, stderr=errors, environment=environment, children=children)
    try:
        stdout, stderr = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return ending(None, "", "", limit_s)
    finally:
        process.kill()  # also when Ctrl-C ends the waiting
        process.wait()
        _close(process)
    texts = [(raw or b"").decode("utf-8", errors="replace") for raw in (stdout, stderr)]
    return ending(process.returncode, texts[0], texts[1], limit_s)


def start_python(
    arguments: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
    children: bool | None = None,
) -> subprocess.Popen[bytes]:
    """Raises ChildUnavailable."""
    if reason := why_no_children(children):
        raise child_unavailable(reason)
    try:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=child_environment() if environment is None else dict(environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise child_unavailable(str(error)) from error


def child_environment() -> dict[str, str]:
    """It finds every module that we find, and nothing of the folder it is started in.

    An abort in llama.cpp starts no gdb, and Python prints no stack over its last words.
    """
    places = [_PACKAGE_PARENT, *(place for place in sys.path if place and Path(place).exists())]
    return {
        **os.environ,
        "GGML_NO_BACKTRACE": "1",
        "PYTHONFAULTHANDLER": "",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(places)),
        "PYTHONSAFEPATH": "1",
    }


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
