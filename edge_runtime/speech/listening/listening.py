"""Live: the words of a stream while it comes in."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from types import TracebackType

from ...device.process_memory import PeakSampler
from ..audio import AudioSource
from ..recognition.recognizer import Recognizer
from ..recognition.transcript import TranscriptEvent
from ..vad import SpeechDetector, SpeechModel
from .clock import SimulatedClock
from .follower import Follower
from .inbox import Inbox, LiveInbox, SimulatedInbox
from .options import ListenOptions
from .stats import ListenStats


class Listening(Iterator[TranscriptEvent]):
    """The events of a stream, one after the other; the last is END.

    with listen(microphone, recognizer, speech_model) as listening:
        for event in listening: ...

    An error of the source comes out of the iteration after END: what was heard before it is told.
    """

    def __init__(self, inbox: Inbox, follower: Follower, stats: ListenStats) -> None:
        self._inbox, self._follower, self.stats = inbox, follower, stats
        self._events = self._run()

    def __next__(self) -> TranscriptEvent:
        return next(self._events)

    def stop(self) -> None:
        """Take no more sound; what was heard is told to its last word, then comes END.

        May be called from any thread and from a signal handler: it only leaves a note.
        """
        self._inbox.stop()

    def close(self) -> None:
        """At once: nothing more comes. Only from the thread that iterates."""
        self._events.close()
        self._inbox.close()

    def __enter__(self) -> Listening:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> Generator[TranscriptEvent, None, None]:
        with ExitStack() as stack:
            stack.callback(self._inbox.close)
            memory = stack.enter_context(PeakSampler())
            cpu_start_s = time.process_time()
            try:
                while (block := self._inbox.take()) is not None:
                    yield from self._follower.hear(block, behind=not self._inbox.caught_up)
                yield from self._follower.finish()
            finally:
                self.stats.cpu_s += time.process_time() - cpu_start_s
                self.stats.peak_bytes = _peak_bytes(memory)
            yield self._follower.end()
        if self._inbox.error is not None:
            raise self._inbox.error


def _peak_bytes(memory: PeakSampler) -> int | None:
    if memory.peak_anonymous_bytes is None or memory.peak_file_bytes is None:
        return None
    return memory.peak_anonymous_bytes + memory.peak_file_bytes


def listen(
    source: AudioSource,
    recognizer: Recognizer,
    speech_model: SpeechModel,
    options: ListenOptions | None = None,
    *,
    stats: ListenStats | None = None,
    clock: SimulatedClock | None = None,
) -> Listening:
    """Follow a source. Recognizer and speech model stay open; nobody else may use the speech model meanwhile.

    `clock`: the source is heard as if it were live, as fast as the machine can. Without it, a
    thread takes blocks as they come, and iterating is what recognizes them.

    Raises OptionInvalid for a language that the recognizer does not know.
    """
    options, stats = options or ListenOptions(), stats or ListenStats()
    options.require_language(recognizer.languages)
    inbox = SimulatedInbox(source, clock) if clock else LiveInbox(source, options.backlog_s)
    follower = Follower(
        recognizer, SpeechDetector(speech_model, options.segments), options, stats, inbox.now_s
    )
    return Listening(inbox, follower, stats)
