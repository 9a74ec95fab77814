"""Runs a program, and says what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")
_ROOT = Path(__file__).parents[3]
_LAST_LINES = 12
_POLL_S = 0.2


class ChildFailed(Exception):
    """It ended with another status than 0; its last lines."""


@dataclass(frozen=True)
class Finished:
    stdout: str
    cpu_s: float  # the whole process, starting and loading included
    wall_s: float
    peak_bytes: int  # resident


def run_child(
    command: Sequence[str], folder: Path, watch: Callable[[int], None] = lambda pid: None
) -> Finished:
    """`watch` is called five times a second with its process id. Raises ChildFailed."""
    started_s = time.monotonic()
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        try:
            usage = _wait(process, watch)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = (folder / "stderr").read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise ChildFailed(f"{Path(command[0]).name} ended with {process.returncode}: " + " / ".join(last))
    return Finished(
        (folder / "stdout").read_text(encoding="utf-8", errors="replace"),
        usage.ru_utime + usage.ru_stime,
        time.monotonic() - started_s,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


def _wait(process: subprocess.Popen[bytes], watch: Callable[[int], None]) -> Any:
    """Its resource usage."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        watch(process.pid)
        time.sleep(_POLL_S)


def edge_runtime(
    arguments: Sequence[str], folder: Path, watch: Callable[[int], None] = lambda pid: None
) -> Finished:
    """Our own command."""
    return run_child([sys.executable, "-m", "edge_runtime", *arguments], folder, watch)


def transcribe(
    paths: Sequence[Path],
    out: Path,
    model: str,
    *options: str,
    formats: str = "jsonl",
    watch: Callable[[int], None] = lambda pid: None,
) -> Finished:
    """`edge-runtime transcribe` into the folder `out`, one file of each format for each path."""
    out.mkdir(parents=True, exist_ok=True)
    where = ("--model", model, "--format", formats, "-o", str(out), "--force")
    return edge_runtime(["transcribe", *map(str, paths), *where, *options], out, watch)


def side_by_side(work: Callable[[Given], Made], given: Sequence[Given]) -> list[Made]:
    """Two at a time, where only what comes out counts and not how fast; -> in their order."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, given))


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def text_of(lines: Sequence[dict[str, Any]]) -> str:
    """Of a JSON-lines transcript in a language with spaces."""
    return " ".join(line["text"] for line in lines if line["type"] == "final")


def words_of(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [word for line in lines if line["type"] == "final" for word in line.get("words", ())]
