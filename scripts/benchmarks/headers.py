"""Reading headers with 262,144 tokens."""

from __future__ import annotations

import statistics
import time

from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header

from .models import model_path
from .table import Row


def measure(repeat: int) -> list[Row]:
    durations_s = []
    for _ in range(repeat):
        started_s = time.perf_counter()
        header = read_header(model_path("gemma-3-270m"))
        check_header(header)
        durations_s.append(time.perf_counter() - started_s)
    what = f"header with {header.vocabulary_size:,} tokens: read and check"
    return [Row(what, statistics.median(durations_s), "s", most=0.3)]
