"""How long work tells what it is doing, without knowing whether anyone looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]  # takes what was done since the last call; negative after a restart


class Progress(Protocol):
    def say(self, text: str) -> None:
        """One line for a person."""

    def bar(self, label: str, total_bytes: int, done_bytes: int) -> AbstractContextManager[Advance]:
        """Show bytes going by; `total_bytes` is 0 when nobody knows."""

    def steps(self, label: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Show other things being done: `unit` says what, as in "tokens"."""


class QuietProgress:
    """Says nothing: the default for programs."""

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        yield lambda count: None

    @contextmanager
    def steps(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        yield lambda count: None


QUIET: Progress = QuietProgress()
