"""A second turn, and a long conversation brought back from disk."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from edge_runtime import Runtime
from edge_runtime.bench.speed import make_prompt
from edge_runtime.values.records import Message

from .models import THREADS
from .table import Row

_MODEL = "smollm2-135m-instruct"
_LONG_TOKENS = 2000


def measure(repeat: int) -> list[Row]:
    with Runtime.open(_MODEL, threads=THREADS) as runtime, tempfile.TemporaryDirectory() as folder:
        return [_second_turn(runtime), _resume(runtime, Path(folder) / "state", repeat)]


def _second_turn(runtime: Runtime) -> Row:
    messages: list[Message] = [{"role": "user", "content": "Name three rivers in Europe."}]
    first = runtime.chat(messages, max_tokens=60, seed=1)
    messages.append({"role": "assistant", "content": first.text})
    messages.append({"role": "user", "content": "Which is the longest?"})
    usage = runtime.chat(messages, max_tokens=8, seed=1).usage
    evaluated = usage.prompt_tokens - usage.cached_tokens
    # What the template puts around the question, and the question: 17 tokens for SmolLM2.
    new = runtime.count_prompt_tokens(messages) - first.usage.prompt_tokens - first.usage.completion_tokens
    return Row(
        "second turn: evaluated beyond its new tokens",
        evaluated - new,
        "tokens",
        most=2,  # the end of the answer is a token the model drew and never evaluated
        note=f"prompt {usage.prompt_tokens}, cached {usage.cached_tokens}, evaluated {evaluated}",
    )


def _resume(runtime: Runtime, path: Path, repeat: int) -> Row:
    resumed_s, evaluated_s = [], []
    for run in range(repeat):
        text = make_prompt(runtime, _LONG_TOKENS, run)
        messages: list[Message] = [{"role": "user", "content": text}]
        evaluated_s.append(_time_first_token(runtime, messages))
        runtime.save_state(messages, path)
        _time_first_token(runtime, [{"role": "user", "content": "Something else."}])
        started_s = time.perf_counter()
        restored = runtime.restore_state(path)
        load_s = time.perf_counter() - started_s
        resumed_s.append(load_s + _time_first_token(runtime, messages))
    share = statistics.median(a / b for a, b in zip(resumed_s, evaluated_s, strict=True))
    durations = f"{statistics.median(resumed_s):.3f} s against {statistics.median(evaluated_s):.3f} s"
    note = f"{restored} tokens: {durations}, {path.stat().st_size / 1e6:.0f} MB on disk"
    return Row("resume from disk / evaluate again", share, "", most=0.05, note=note)


def _time_first_token(runtime: Runtime, messages: list[Message]) -> float:
    started_s = time.perf_counter()
    runtime.chat(messages, max_tokens=1, temperature=0.0)
    return time.perf_counter() - started_s
