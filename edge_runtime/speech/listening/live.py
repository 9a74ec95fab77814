"""Live recognition: events while the sound comes in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

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
from .stream import SpeechStream


def listen(
    source: AudioSource,
    recognizer: Recognizer,
    speech_model: SpeechModel,
    options: ListenOptions | None = None,
    *,
    stats: ListenStats | None = None,
    clock: SimulatedClock | None = None,
) -> SpeechStream:
    """Follow a source. Recognizer and speech model stay open; the speech model must not be shared meanwhile.

    `clock`: the source is processed as if it were live, as fast as the machine can. Without it, a
    thread takes blocks as they come, and iterating is what recognizes them.

    An error of the source is raised after END: the events of all sound before it come first.

    Raises OptionInvalid for a language that the recognizer does not know.
    """
    options, stats = options or ListenOptions(), stats or ListenStats()
    options.require_language(recognizer.languages)
    inbox = SimulatedInbox(source, clock) if clock else LiveInbox(source, options.backlog_s)
    follower = Follower(
        recognizer, SpeechDetector(speech_model, options.segments), options, stats, inbox.now_s
    )
    return SpeechStream(_events(inbox, follower, stats), inbox.stop, stats, release=inbox.close)


def _events(inbox: Inbox, follower: Follower, stats: ListenStats) -> Iterator[TranscriptEvent]:
    with ExitStack() as stack:
        stack.callback(inbox.close)
        memory = stack.enter_context(PeakSampler())
        cpu_start_s = time.process_time()
        try:
            while (block := inbox.take()) is not None:
                yield from follower.process(block, behind=not inbox.caught_up)
            yield from follower.finish()
        finally:
            stats.cpu_s += time.process_time() - cpu_start_s
            stats.peak_bytes = _peak_bytes(memory)
        yield follower.end()
    if inbox.error is not None:
        raise inbox.error


def _peak_bytes(memory: PeakSampler) -> int | None:
    if memory.peak_anonymous_bytes is None or memory.peak_file_bytes is None:
        return None
    return memory.peak_anonymous_bytes + memory.peak_file_bytes
