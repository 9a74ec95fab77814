"""Progress reporting for long-running work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

Advance = Callable[[int], None]  # takes what was done since the last call; negative after a restart


class Progress(Protocol):
    def say(self, text: str) -> None:
        """One line for a person."""

    def bar(self, label: str, total_bytes: int, done_bytes: int) -> AbstractContextManager[Advance]:
        """Show bytes going by; `total_bytes` is 0 when it is not known."""

    def steps(self, label: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Show other things being done: `unit` names them, as in "tokens"."""


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


@dataclass(frozen=True)
class ProgressUpdate:
    """One step of a longer piece of work, as an `on_progress` callback receives it.

    stage: the file under way, the name of the step, or a sentence for a person.
    done, total: in `unit`s: "bytes", "s" of sound ...; total is 0 where it is not known.
    A sentence without a count has both 0 and unit "".
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""

    @property
    def share(self) -> float | None:
        """Done, from 0 to 1; None where the total is not known."""
        return min(self.done / self.total, 1.0) if self.total else None


OnProgress = Callable[[ProgressUpdate], None]


class CallbackProgress:
    """A Progress that calls a function for every step, in the thread that does the work.

    What the function raises ends the work as any other error does.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress

    def say(self, text: str) -> None:
        self._on_progress(ProgressUpdate(text))

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        yield self._counter(label, total_bytes, done_bytes, "bytes")

    @contextmanager
    def steps(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        yield self._counter(label, total, 0, unit)

    def _counter(self, stage: str, total: int, done: int, unit: str) -> Advance:
        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._on_progress(ProgressUpdate(stage, done, total, unit))

        advance(0)
        return advance


def progress_of(on_progress: OnProgress | None) -> Progress:
    """The Progress that reports to a callback; a quiet one for None."""
    return QUIET if on_progress is None else CallbackProgress(on_progress)
