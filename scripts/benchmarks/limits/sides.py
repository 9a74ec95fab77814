"""The runs that one repetition of a case consists of."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

from .cases import Case, Kind
from .task import Task

OURS = "ours"  # the side that the goals are about
_QUICK_PROMPT_TOKENS, _QUICK_ANSWER_TOKENS, _QUICK_PART = 64, 16, 10


@dataclass(frozen=True)
class Side:
    name: str
    task: Task
    limit_bytes: int | None


def sides_of(
    case: Case, model: str, limit_bytes: int | None, *, stock: bool, quick: bool = False
) -> list[Side]:
    """Ours first; the order in which they alternate."""
    task = Task("ours", model, None if limit_bytes is None else str(limit_bytes), **case.task)
    task = _shortened(task) if quick else task
    sides = [Side(OURS, task, limit_bytes)]
    if case.kind is Kind.SPEED:
        sides.append(Side("unlimited", replace(task, budget=None), None))
    if case.kind is Kind.SQUEEZE:
        sides.append(Side("eviction alone", _left_to_the_kernel(task, limit_bytes), limit_bytes))
    if case.kind is Kind.RESIDENCY or (stock and case.kind is not Kind.SOAK):
        sides.append(Side("stock", replace(task, engine="stock", budget=None), limit_bytes))
    return sides


def full_speed_bytes(model: str) -> int:
    """The smallest budget at which the plan promises the speed of no budget at all."""
    return int(_plan(model, "1TB")["full_speed_bytes"])


def _plan(model: str, budget: str) -> dict[str, Any]:
    """What `edge-runtime plan` says: in a process of its own, so that this one stays small."""
    command = [sys.executable, "-m", "edge_runtime", "plan", model, "--budget", budget, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{model} with {budget} has no plan: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _left_to_the_kernel(task: Task, limit_bytes: int | None) -> Task:
    """The same context, cache and micro-batch as ours, on pages that nobody manages.

    With repacked weights: without them the kernel does worse (0.49 against 0.58 tokens/s for
    Gemma 3n E2B at 90 %).
    """
    choices = _plan(task.model, str(limit_bytes))["choices"]
    options = {
        "residency": False,
        "kv_type": choices["kv_type"],
        "micro_batch_tokens": choices["micro_batch"],
    }
    return replace(task, budget=None, context_tokens=choices["context_tokens"], options=options)


def working_set_side(model: str, *, quick: bool) -> Side:
    """The run whose peak after loading is what the model needs to be fast."""
    task = Task("ours", model)
    return Side("working set", _shortened(task) if quick else task, None)


def _shortened(task: Task) -> Task:
    if task.chat_turns:
        return replace(task, chat_turns=task.chat_turns // _QUICK_PART)
    if task.watch_residency:
        return replace(task, answer_tokens=task.answer_tokens // _QUICK_PART)
    return replace(task, prompt_tokens=_QUICK_PROMPT_TOKENS, answer_tokens=_QUICK_ANSWER_TOKENS)
