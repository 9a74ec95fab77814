"""Starts one measured child: cold cache, own group, nothing else running here meanwhile.

This process imports neither numpy nor llama.cpp: what it maps would not be charged to
the group under test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .drop_cache import drop_cache
from .group import limited_group
from .other_work import OtherWork, warning
from .task import Task

_ROOT = Path(__file__).parents[3]
_CHILD = [sys.executable, "-m", "scripts.benchmarks.limits.child"]


class PreparationFailed(Exception):
    """The model cannot be run here at all, limit or no limit."""


def prepare(model: str) -> Path:
    """Let the crash guard see the model once, outside any limit; where its file is."""
    done = subprocess.run([*_CHILD, "prepare", model], cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PreparationFailed(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else model)
    return Path(done.stdout.splitlines()[-1])


def machine_line(folder: Path) -> str:
    """Processor, memory, versions, and what the disk behind `folder` reads ahead of a page fault."""
    done = subprocess.run([*_CHILD, "machine"], cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip() + _read_ahead(folder)


def _read_ahead(folder: Path) -> str:
    """Decides how much one fault brings in where nothing was advised: 128 KB by default, often more."""
    try:
        device = folder.stat().st_dev
        bdi = Path("/sys/class/bdi", f"{os.major(device)}:{os.minor(device)}")
        return f", read-ahead {int((bdi / 'read_ahead_kb').read_text())} KiB"
    except (OSError, ValueError):  # the folder is not there yet, or no block device is behind it
        return ""


def run_once(task: Task, file: Path, limit_bytes: int | None, *, most_s: float = 1800.0) -> dict[str, Any]:
    """One run of `task`, whose model is `file`, from a cold cache; what child and group found.

    "error" says why there are no figures: killed for memory, refused, or not done within `most_s`.
    Raises GroupRefused.
    """
    cache = drop_cache(file)
    with limited_group(limit_bytes) as group:
        started_s, others = time.monotonic(), OtherWork()
        found = _run_child(group.command([*_CHILD, task.as_json()]), most_s)
        found |= {"wall_s": time.monotonic() - started_s, "foreign_cores": others.busy_cores()}
        found["group"] = asdict(group.usage())
    if found["group"]["oom_kills"]:
        found["error"] = f"killed: out of memory ({found['group']['oom_kills']} oom kills)"
    asked = asdict(task) | {"model": file.name}  # reports are published: where it lies is nobody's business
    found |= {"limit_bytes": limit_bytes, "task": asked, "cached_at_start": cache.cached}
    warnings = [text for text in (cache.warning, warning(found["foreign_cores"])) if text]
    return found | ({"warning": "; ".join(warnings)} if warnings else {})


def _run_child(command: list[str], most_s: float) -> dict[str, Any]:
    """The child's last line. Waits on its pipes: no polling while it runs."""
    with subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            output, errors = child.communicate(timeout=most_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return {"error": f"not done within {most_s:g} s"}
    lines = output.strip().splitlines()
    if lines and lines[-1].startswith("{"):
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    last = errors.strip().splitlines()[-1:] or [""]
    return {"error": f"ended with status {child.returncode}: {last[0]}"}
