"""Iteration over the events of a transcript while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from ...errors import EdgeRuntimeError
from ..captions import TextJoiner
from ..recognition.transcript import EventKind, Transcript, TranscriptEvent
from .stats import ListenStats


class TranscriptBuilder:
    """Collects the finals of a stream."""

    def __init__(self) -> None:
        self._finals: list[TranscriptEvent] = []
        self._end_s = 0.0

    def add(self, event: TranscriptEvent) -> None:
        if event.kind is EventKind.FINAL:
            self._finals.append(event)
        elif event.kind is EventKind.END:
            self._end_s = event.end_s

    def transcript(self) -> Transcript:
        joiner = TextJoiner()
        text = "".join(joiner.take(final) for final in self._finals).strip()
        segments = tuple(final for final in self._finals if final.text)
        return Transcript(text, _main_language(segments), self._end_s, segments)


def _main_language(segments: Sequence[TranscriptEvent]) -> str:
    """The one that was spoken for the longest time; "" without segments."""
    spoken_s: dict[str, float] = {}
    for segment in segments:
        spoken_s[segment.language] = spoken_s.get(segment.language, 0.0) + segment.end_s - segment.start_s
    return max(spoken_s, key=lambda language: spoken_s[language], default="")


class SpeechStream(Iterator[TranscriptEvent]):
    """Iterate over the events; the last one is of kind END. `result()` gives the whole transcript.

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
        """SpeechRuntime.transcribe() and listen() make these. release: the last call of close().

        stats: of live sound, which may last for days: then result() starts with the next event.
        """
        self._events, self._stop, self._release = events, stop, release
        self._stats = stats
        self._read = TranscriptBuilder()

    @property
    def stats(self) -> ListenStats | None:
        """Of listen(): complete after the end. None for transcribe()."""
        return self._stats

    def __next__(self) -> TranscriptEvent:
        """Raises an error of the source after the END of all sound before it."""
        event = next(self._events)
        if self.stats is None:
            self._read.add(event)
        return event

    def result(self) -> Transcript:
        """The whole transcript; reads the events that have not been read yet.

        Of live sound only those: a stream of days keeps no finals. An error of the source is
        raised, with the transcript of all sound before it as its fact `transcript`.
        """
        try:
            for event in self:
                if self.stats is not None:
                    self._read.add(event)
        except EdgeRuntimeError as error:
            error.facts["transcript"] = self._read.transcript()
            raise
        return self._read.transcript()

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
