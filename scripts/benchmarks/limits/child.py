"""Runs one task and prints one line of JSON. Started by launch.py inside a group.

    python -m scripts.benchmarks.limits.child TASK        TASK: JSON, see task.py
    python -m scripts.benchmarks.limits.child prepare MODEL
    python -m scripts.benchmarks.limits.child machine

"prepare" lets the runtime's crash guard try the model, so that no measured run has to.
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import asdict, is_dataclass
from typing import Any

from edge_runtime.device.process_memory import PeakSampler
from edge_runtime.errors import EdgeRuntimeError

from .engines import CaseEngine, Ours, open_engine
from .step_clock import StepClock, residency, resident
from .task import Task


def main(arguments: list[str]) -> int:
    if arguments[0] == "prepare":
        return _prepare(arguments[1])
    if arguments[0] == "machine":
        return _machine()
    try:
        found = run(Task.from_json(arguments[0]))
    except EdgeRuntimeError as error:
        found = {"error": f"{type(error).__name__}: {error}", "hint": error.hint}
    except (TypeError, RuntimeError) as error:  # an option that is not there; llama.cpp refuses
        found = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(found), flush=True)
    return 1 if "error" in found else 0


def run(task: Task) -> dict[str, Any]:
    started_s = time.perf_counter()
    with PeakSampler() as loading:
        engine = open_engine(task)
    found: dict[str, Any] = {"load_s": time.perf_counter() - started_s, "after_load": residency()}
    with PeakSampler() as running:
        found |= _chat(engine, task) if task.chat_turns else _answer(engine, task)
    found |= _peaks("load_peak", loading) | _peaks("run_peak", running)
    found["end"] = residency()
    usage = engine.memory_usage()
    found["memory_usage"] = asdict(usage) if is_dataclass(usage) and not isinstance(usage, type) else None
    engine.close()
    return found


def _answer(engine: CaseEngine, task: Task) -> dict[str, Any]:
    rng = random.Random(task.seed)
    tokens = [rng.randrange(engine.vocabulary_size) for _ in range(task.prompt_tokens + task.answer_tokens)]
    clock = StepClock(task.prompt_tokens, task.answer_tokens, watch_residency=task.watch_residency)
    engine.answer(tokens[: task.prompt_tokens], tokens[task.prompt_tokens :], clock)
    return clock.figures() | ({"residency": clock.residency} if clock.residency else {})


def _chat(engine: CaseEngine, task: Task) -> dict[str, Any]:
    """A conversation that outgrows its context; residency after every tenth of it.

    It begins with a page to talk about, so that a whole micro-batch has been evaluated and the
    context has been full before the first tenth is over: filling them is no growth.
    """
    assert isinstance(engine, Ours)
    messages: list[Any] = []
    watched = []
    for turn in range(1, task.chat_turns + 1):
        page = _PAGE if turn == 1 else ""
        messages.append({"role": "user", "content": f"{page}Tell me fact number {turn} about rivers."})
        reply = engine.runtime.chat(messages, max_tokens=task.answer_tokens, seed=turn)
        messages.append({"role": "assistant", "content": reply.text})
        if turn % max(1, task.chat_turns // 10) == 0:
            watched.append({"after": turn, **resident()})
    return {"residency": watched}


_PAGE = "".join(f"River {n} is {37 * n} km long and flows into the sea at town {n}.\n" for n in range(1, 31))


def _peaks(name: str, sampler: PeakSampler) -> dict[str, Any]:
    return {
        f"{name}_anonymous_bytes": sampler.peak_anonymous_bytes,
        f"{name}_file_bytes": sampler.peak_file_bytes,
    }


def _prepare(model: str) -> int:
    from edge_runtime.backends.guard.probe import guard_file, run_probe
    from edge_runtime.catalog.catalog import locate

    try:
        path = locate(model).path
        guard_file(path, run_probe().use_extra_bufts)
    except EdgeRuntimeError as error:
        print(f"{error}; {error.hint}", file=sys.stderr)
        return 1
    print(path)
    return 0


def _machine() -> int:
    from ..machine import describe_machine

    print(describe_machine())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
