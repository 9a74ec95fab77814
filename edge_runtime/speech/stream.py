"""Reading a transcript while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType

from .listening import ListenStats
from .recognition.transcript import TranscriptEvent


class SpeechStream(Iterator[TranscriptEvent]):
    """Iterate over the events; the last one is of kind END.

    Leaving the `with` block gives up what is left.
    """

    def __init__(
        self,
        events: Iterator[TranscriptEvent],
        stop: Callable[[], None],
        stats: ListenStats | None = None,
    ) -> None:
        """SpeechRuntime.transcribe() and listen() are the ways in."""
        self._events, self._stop = events, stop
        self._source: SpeechStream | None = None
        self.stats = stats  # of listen(): complete after the end

    def __next__(self) -> TranscriptEvent:
        """Raises what went wrong, after the END of what was heard until then."""
        return next(self._events)

    def through(self, change: Callable[[SpeechStream], Iterator[TranscriptEvent]]) -> SpeechStream:
        """What `change` makes of the events, such as a translation; stops and closes this one as well."""
        changed = SpeechStream(change(self), self._stop, self.stats)
        changed._source = self
        return changed

    def stop(self) -> None:
        """Take no more sound. What was heard still comes, to its last word, and then the end.

        From any thread, and from a signal handler.
        """
        self._stop()

    def close(self) -> None:
        """At once: nothing more comes. From the thread that iterates."""
        self._stop()
        close = getattr(self._events, "close", None)
        if close is not None:
            close()
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> SpeechStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
