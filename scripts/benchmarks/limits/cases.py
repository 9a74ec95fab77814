"""The cases of the memory benchmark: model, limit, goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """Decides the sides that alternate, the figures, and the table they stand in."""

    SPEED = "Speed under a limit"  # against the same without a limit
    SQUEEZE = "Below the working set"  # against the kernel's eviction alone, under the same limit
    RESIDENCY = "Residency without a limit"  # against llama.cpp's
    SOAK = "Residency over time"  # against itself at a tenth of the way


@dataclass(frozen=True)
class Goal:
    figure: str  # see figures.py
    unit: str = ""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Case:
    name: str
    kind: Kind
    model: str  # a file of model_files.py, or a catalog name
    limit_bytes: int | None = None
    working_set_share: float | None = None  # the limit, as a share of what the model was seen to hold
    goals: tuple[Goal, ...] = ()
    task: dict[str, Any] = field(default_factory=dict)  # other values for fields of Task
    note: str = ""
    most_repetitions: int | None = None  # where one takes minutes


def _decode(least: float) -> Goal:
    return Goal("decode_ratio", least=least)


_E2B, _E2B_Q4 = "e2b-q4_0-q6_k-q8_0.gguf", "e2b-q4_0.gguf"
_GB = 1_000_000_000
_MOST_REREAD_BYTES = 64_000
_MOST_CHANGE = 0.02

CASES = (
    Case(
        "e2b-2.0GB",
        Kind.SPEED,
        _E2B,
        2 * _GB,
        goals=(
            _decode(0.95),
            Goal("prefill_ratio", least=0.90),
            Goal("read_bytes_per_token", "B", most=_MOST_REREAD_BYTES),
        ),
    ),
    Case(
        "e2b-1.6GB",
        Kind.SPEED,
        _E2B_Q4,
        1_600_000_000,
        goals=(_decode(0.80),),
        task={"context_tokens": None},
        note="context, cache and micro-batch as planned",
    ),
    Case("g4e2b-2.0GB", Kind.SPEED, "g4e2b-q4_0.gguf", 2 * _GB, goals=(_decode(0.95),)),
    Case("e4b-3.0GB", Kind.SPEED, "e4b-q4_0.gguf", 3 * _GB, goals=(_decode(0.95),)),
    Case(
        "g4e4b-min",
        Kind.SPEED,
        "g4e4b-q4_0.gguf",
        goals=(_decode(0.95),),
        task={"context_tokens": None},
        note="the smallest budget at which the plan promises full speed",
    ),
    Case(
        "e2b-90%",
        Kind.SQUEEZE,
        _E2B,
        working_set_share=0.9,
        goals=(_decode(4.0),),
        task={"context_tokens": None, "answer_tokens": 32},
        note="against the same choices, left to the kernel; 32 tokens, for they take minutes there",
    ),
    Case(
        "e2b-80%",
        Kind.SQUEEZE,
        _E2B,
        working_set_share=0.8,
        goals=(_decode(4.0),),
        task={"context_tokens": None, "answer_tokens": 32},
        note="against the same choices, left to the kernel; 32 tokens, for they take minutes there",
    ),
    Case(
        "residency",
        Kind.RESIDENCY,
        _E2B,
        goals=(Goal("end_bytes", "B", most=1.9e9),),
        task={"answer_tokens": 256},
        note="held after load, a prompt and 256 tokens",
        most_repetitions=2,
    ),
    Case(
        "soak-chat",
        Kind.SOAK,
        "smollm2-135m-instruct",
        400_000_000,
        goals=(Goal("residency_change", most=_MOST_CHANGE),),
        task={"chat_turns": 200, "answer_tokens": 40, "context_tokens": 1024},
        note="200 turns of a chat that begins with a page to read",
    ),
    Case(
        "soak-e2b",
        Kind.SOAK,
        _E2B,
        2 * _GB,
        goals=(Goal("residency_change", most=_MOST_CHANGE),),
        task={"answer_tokens": 2000, "watch_residency": True},
        note="2,000 random tokens",
    ),
)


def cases_named(names: str | None) -> tuple[Case, ...]:
    """'a,b' -> these cases, in our order; all without names. Raises KeyError for one that is not there."""
    if names is None:
        return CASES
    wanted = {name.strip() for name in names.split(",")}
    unknown = wanted - {case.name for case in CASES}
    if unknown:
        raise KeyError(min(unknown))
    return tuple(case for case in CASES if case.name in wanted)
