"""The runs that one repetition of a case consists of."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        sides.append(Side("eviction alone", replace(task, options={"residency": False}), limit_bytes))
    if case.kind is Kind.RESIDENCY or (stock and case.kind is not Kind.SOAK):
        sides.append(Side("stock", replace(task, engine="stock", budget=None), limit_bytes))
    return sides


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
