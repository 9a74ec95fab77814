"""Requests to the engine, and the events that answer them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...errors import EdgeRuntimeError
from ...values.records import GenerationOptions, Reply, TextPiece


@dataclass(frozen=True)
class Finished:
    reply: Reply


@dataclass(frozen=True)
class Failed:
    error: EdgeRuntimeError


Event = TextPiece | Finished | Failed


@dataclass(frozen=True)
class GenerationRequest:
    tokens: tuple[int, ...]  # of the prompt
    options: GenerationOptions
    emit: Callable[[Event], None]  # called on the worker thread: must be quick and must not raise
    text: str | None = None  # of the prompt, where control tokens in it were read as such
    grammar: str | None = None  # GBNF, made from options.grammar or options.json_schema
    dropped_turns: int = 0  # only carried through to the Reply


@dataclass(eq=False)
class Ticket:
    """A request under way. The engine reads `cancelled` between steps."""

    request: GenerationRequest
    submitted_s: float
    wake: Callable[[Ticket], None]
    cancelled: bool = field(default=False, init=False)

    def cancel(self) -> None:
        """Stop within one step; the stream then ends with finish reason "cancelled"."""
        self.cancelled = True
        self.wake(self)
