"""The task of a benchmark's child process, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

ENGINES = ("ours", "stock", "stock-norepack")
WARM_UP_TOKENS = 4  # first tokens of an answer, which touch buffers and read pages in


@dataclass(frozen=True)
class Task:
    engine: str  # one of ENGINES
    model: str  # a path; for "ours" a catalog name will do
    budget: str | None = None  # "ours" only
    context_tokens: int | None = 4096  # None: the planner's choice, for "ours"
    threads: int = 2
    prompt_tokens: int = 200
    answer_tokens: int = 64
    chat_turns: int = 0  # above 0: so many turns of a chat in place of prompt and answer
    watch_residency: bool = False  # note what is resident ten times on the way
    seed: int = 1
    options: dict[str, Any] = field(default_factory=dict)  # more keyword arguments for Runtime.open

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        return cls(**json.loads(text))
