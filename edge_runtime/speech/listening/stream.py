"""Iteration over the events of a transcript while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType

from ..recognition.transcript import TranscriptEvent
from .stats import ListenStats


class SpeechStream(Iterator[TranscriptEvent]):
    """Iterate over the events; the last one is of kind END.

    Leaving the `with` block drops the remaining events.
    """

    def __init__(
        self,
        events: Iterator[TranscriptEvent],
        stop: Callable[[], None],
        stats: ListenStats | None = None,
        *,
        release: Callable[[], None] | None = None,
    ) -> None:
        """SpeechRuntime.transcribe() and listen() make these. release: the last call of close()."""
        self._events, self._stop, self._release = events, stop, release
        self.stats = stats  # of listen(): complete after the end

    def __next__(self) -> TranscriptEvent:
        """Raises an error of the source after the END of all sound before it."""
        return next(self._events)

    def through(self, change: Callable[[SpeechStream], Iterator[TranscriptEvent]]) -> SpeechStream:
        """The events after `change`, such as a translation; stops and closes this stream as well."""
        return SpeechStream(change(self), self._stop, self.stats, release=self.close)

    def stop(self) -> None:
        """Take no more sound. All sound until now is still recognized, to its last word, then comes END.

        May be called from any thread and from a signal handler.
        """
        self._stop()

    def close(self) -> None:
        """Stop at once, without further events. Only from the thread that iterates."""
        self._stop()
        close = getattr(self._events, "close", None)
        if close is not None:
            close()
        if self._release is not None:
            self._release()

    def __enter__(self) -> SpeechStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
