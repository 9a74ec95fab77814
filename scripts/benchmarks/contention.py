"""Decode speed beside another busy program: our setting for OpenMP's threads against the default."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from .models import THREADS
from .table import Row

_MODEL = "smollm2-135m-instruct"
_ROOT = Path(__file__).parents[2]
_BUSY = "while True: pass"
_CHILD = """
import sys
from scripts.benchmarks.models import GREEDY, generate, open_engine
with open_engine(sys.argv[1]) as engine:
    generate(engine, "Warm up", max_tokens=8, sampling=GREEDY, ignore_end=True)
    reply = generate(engine, "Once upon a time", max_tokens=48, sampling=GREEDY, ignore_end=True)
    print(reply.timings.decode_tokens_per_s)
"""
_DEFAULT_SPIN_COUNT = "300000"  # GNU OpenMP's own, when OMP_WAIT_POLICY is not set


def measure(repeat: int) -> list[Row]:
    """Alone, and beside as many busy processes as there are cores, and twice as many."""
    rows = [_compare("alone", repeat, 0.95)]
    for count in (THREADS, 2 * THREADS):
        busy = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
        try:
            rows.append(_compare(f"beside {count} busy processes", repeat, 1.2))
        finally:
            for process in busy:
                process.kill()
                process.wait()
    return rows


def _compare(where: str, repeat: int, least: float) -> Row:
    pairs = [(_tokens_per_s(None), _tokens_per_s(_DEFAULT_SPIN_COUNT)) for _ in range(repeat)]
    ours, default = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    note = f"{ours:.1f} against {default:.1f} tokens/s"
    return Row(f"smollm2, {where}: ours / OpenMP's default", ratio, "", least=least, note=note)


def _tokens_per_s(spin_count: str | None) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    if spin_count is not None:
        environment["GOMP_SPINCOUNT"] = spin_count
    command = [sys.executable, "-c", _CHILD, _MODEL]
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
