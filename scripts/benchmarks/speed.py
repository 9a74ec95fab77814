"""The engine against llama.cpp's own loop, alternated in one process; and the time between two decodes."""

from __future__ import annotations

import statistics

from .models import GEMMA_STYLE, GREEDY, MODELS, generate, open_engine
from .raw_loop import RawLoop
from .table import Row

_PROMPT = "Once upon a time in a small town by the sea"
_TOKENS = 128
_MOST_BETWEEN_US = {"smollm2-135m-instruct": 300.0, "gemma-3-270m": 500.0}


def measure(repeat: int) -> list[Row]:
    return [row for name in MODELS for row in _measure_model(name, repeat)]


def _measure_model(name: str, repeat: int) -> list[Row]:
    rows = []
    with open_engine(name) as engine, RawLoop(name) as raw:
        for label, sampling in (("greedy", GREEDY), ("top-k 64, top-p 0.95", GEMMA_STYLE)):
            ours, theirs, between = [], [], []
            for run in range(repeat + 1):
                raw_speed = raw.tokens_per_s(_PROMPT, _TOKENS, sampling)
                timings = generate(
                    engine, _PROMPT, max_tokens=_TOKENS + 1, sampling=sampling, ignore_end=True
                ).timings
                if run:  # the first is a warm-up
                    theirs.append(raw_speed)
                    ours.append(timings.decode_tokens_per_s)
                    between.append(timings.between_decodes_us)
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            note = f"{statistics.median(ours):.1f} against {statistics.median(theirs):.1f} tokens/s"
            rows += [
                Row(f"{name}, {label}: engine / bare loop", ratio, "", least=0.97, note=note),
                Row(
                    f"{name}, {label}: between two decodes",
                    statistics.median(between),
                    "us",
                    most=_MOST_BETWEEN_US[name],
                ),
            ]
    return rows
