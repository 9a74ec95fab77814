"""Four conversations at once against one."""

from __future__ import annotations

import statistics
import time

from edge_runtime.runtime.engine import Engine

from .models import GREEDY, generate, open_engine, submit, wait
from .table import Row

_TOKENS = 64
_LEAST_GAIN = {"gemma-3-270m": 2.2, "smollm2-135m-instruct": None}  # SmolLM2's Q4_1 is bound by computing


def measure(repeat: int) -> list[Row]:
    rows = []
    for name, least in _LEAST_GAIN.items():
        with open_engine(name, context_tokens=1024, max_sequences=4) as engine:
            generate(engine, "Warm up", max_tokens=16, sampling=GREEDY, ignore_end=True)
            pairs = [(_tokens_per_s(engine, 4, run), _tokens_per_s(engine, 1, run)) for run in range(repeat)]
        four, one = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
        gain = statistics.median(a / b for a, b in pairs)
        note = f"{four:.1f} against {one:.1f} tokens/s"
        rows.append(Row(f"{name}: four at once / one", gain, "", least=least, note=note))
    return rows


def _tokens_per_s(engine: Engine, count: int, run: int) -> float:
    started_s = time.perf_counter()
    events = [
        submit(engine, f"Story {run} {i}:", max_tokens=_TOKENS, sampling=GREEDY, ignore_end=True)
        for i in range(count)
    ]
    for reply in events:
        wait(reply)
    return count * _TOKENS / (time.perf_counter() - started_s)
