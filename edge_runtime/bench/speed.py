"""Speed benchmark of one model: prefill, decode, and memory held meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..device.process_memory import PeakSampler
from ..gguf.header import GgufHeader
from ..gguf.tensor_names import EMBEDDING_TENSOR, OUTPUT_TENSOR, PLE_TENSOR
from ..runtime.report import RuntimeFigures, reply_report
from ..runtime.runtime import Runtime
from ..values.records import Reply, Timings

_WORDS = (
    "the river runs down to a wide sea and in the morning light birds fly over its water "
    "while people on both banks begin their work with bread fish wood stone and song"
).split()
_BANDWIDTH_BYTES = 256_000_000


@dataclass(frozen=True)
class BenchResult:
    report: dict[str, Any]  # reply_report's keys, medians of all runs
    decode_ceiling_tokens_per_s: float  # if memory bandwidth were the only limit
    decode_runs_tokens_per_s: tuple[float, ...]


def run_bench(
    open_runtime: Callable[[], Runtime],
    header_of: Callable[[Runtime], GgufHeader],
    *,
    prompt_tokens: int,
    answer_tokens: int,
    repeat: int,
    on_run: Callable[[int, Reply], None] = lambda run, reply: None,
) -> BenchResult:
    """One warm-up, then `repeat` runs, each with a prompt of its own that nothing is cached of.

    Raises what Runtime.open and Runtime.generate raise.
    """
    with PeakSampler() as peaks, open_runtime() as runtime:
        replies = []
        for run in range(repeat + 1):
            prompt = make_prompt(runtime, prompt_tokens, run)
            reply = runtime.generate(
                prompt, raw=True, max_tokens=answer_tokens, temperature=0.0, ignore_end=True
            )
            if run > 0:
                replies.append(reply)
                on_run(run, reply)
        figures, read_bytes = RuntimeFigures.of(runtime), bytes_read_per_token(header_of(runtime))
    return BenchResult(
        report=reply_report(_median_reply(replies), figures, peaks),
        decode_ceiling_tokens_per_s=memory_bandwidth_bytes_per_s() / read_bytes,
        decode_runs_tokens_per_s=tuple(reply.timings.decode_tokens_per_s for reply in replies),
    )


def make_prompt(runtime: Runtime, prompt_tokens: int, variant: int) -> str:
    """Plain English of about `prompt_tokens` tokens, never more; variants differ from the first word on."""
    start = variant * 7 % len(_WORDS)
    words = [str(variant), *(_WORDS[(start + i) % len(_WORDS)] for i in range(prompt_tokens))]
    low, high = 1, len(words)
    while low < high:  # how many words make the number of tokens: the tokenizer decides
        middle = (low + high + 1) // 2
        if runtime.count_tokens(" ".join(words[:middle])) <= prompt_tokens:
            low = middle
        else:
            high = middle - 1
    return " ".join(words[:low])


def _median_reply(replies: Sequence[Reply]) -> Reply:
    """The last reply, with each timing replaced by its median over all."""
    fields = Timings.__dataclass_fields__
    medians = {name: statistics.median(getattr(r.timings, name) for r in replies) for name in fields}
    return replace(replies[-1], timings=Timings(**medians))


def bytes_read_per_token(header: GgufHeader) -> int:
    """Weights that one decode reads from end to end.

    An embedding table is only looked up, unless it is also the output matrix;
    the cache, small at first, is not counted.
    """
    names = {tensor.name for tensor in header.tensors}
    looked_up = {PLE_TENSOR}
    if OUTPUT_TENSOR in names:
        looked_up.add(EMBEDDING_TENSOR)
    return sum(tensor.size_bytes for tensor in header.tensors if tensor.name not in looked_up)


def memory_bandwidth_bytes_per_s(threads: int = 2) -> float:
    """Best of five reads of 256 MB from RAM by `threads` threads, in numpy."""
    parts = np.array_split(np.ones(_BANDWIDTH_BYTES // 4, np.float32), threads)
    durations_s = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            started_s = time.perf_counter()
            list(pool.map(np.max, parts))
            durations_s.append(time.perf_counter() - started_s)
    return _BANDWIDTH_BYTES / min(durations_s)
