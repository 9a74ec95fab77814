"""Plain attention, the planner's choice for narrow heads on x86, against flash attention, llama.cpp's."""

from __future__ import annotations

import statistics

from edge_runtime.runtime.engine import Engine
from edge_runtime.values.records import Timings

from .models import GREEDY, generate, open_engine
from .table import Row

_MODEL = "smollm2-135m-instruct"
_BEFORE = (256, 1536)  # tokens of prompt
_ANSWER_TOKENS = 48


def measure(repeat: int) -> list[Row]:
    with open_engine(_MODEL, flash_attention=False) as plain, open_engine(_MODEL) as flash:
        return [row for count in _BEFORE for row in _measure_after(plain, flash, count, repeat)]


def _measure_after(plain: Engine, flash: Engine, count: int, repeat: int) -> list[Row]:
    pairs = [(_timings(plain, count, run), _timings(flash, count, run)) for run in range(repeat)]
    rows = []
    for what, least in (("decode", 1.2), ("prefill", 0.9)):
        speeds = [(_speed(ours, what), _speed(theirs, what)) for ours, theirs in pairs]
        ratio = statistics.median(a / b for a, b in speeds)
        note = "{:.1f} against {:.1f} tokens/s".format(
            *(statistics.median(side) for side in zip(*speeds, strict=True))
        )
        rows.append(
            Row(f"{_MODEL}, {what} with {count} tokens: plain / flash", ratio, "", least=least, note=note)
        )
    return rows


def _timings(engine: Engine, count: int, run: int) -> Timings:
    """A prompt that begins anew in each run: nothing of an earlier one may be reused."""
    prompt = tuple(1000 + (run * 97 + index * 31) % 40_000 for index in range(count))
    options = {"max_tokens": _ANSWER_TOKENS, "sampling": GREEDY, "ignore_end": True}
    return generate(engine, prompt, **options).timings


def _speed(timings: Timings, what: str) -> float:
    return timings.decode_tokens_per_s if what == "decode" else timings.prefill_tokens_per_s
