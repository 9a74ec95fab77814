"""Transcript events, as listening and transcription give them.

Finals never change and never overlap: joined, they are the transcript. A partial is what
follows the finals for now; the next event of any kind takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class EventKind(str, Enum):
    PARTIAL = "partial"  # may still change
    FINAL = "final"  # will not
    END = "end"  # the sound is over; comes once, last


@dataclass(frozen=True)
class TranscriptWord:
    """`text` begins with a space where the transcript has one: joined, words give the transcript."""

    text: str
    start_s: float  # from the start of the stream
    end_s: float
    probability: float


@dataclass(frozen=True)
class TranscriptEvent:
    kind: EventKind
    start_s: float  # from the start of the stream; of END: 0
    end_s: float  # of END: how long the stream was
    text: str = ""  # without space around it
    language: str = ""  # a code such as "en", of the text
    words: tuple[TranscriptWord, ...] = ()  # none where the text is a translation
    utterance: int = 0  # finals of one utterance, from pause to pause, share its number
    ends_utterance: bool = False  # of a final: nothing more of its utterance follows
    commit_latency_s: float | None = None  # of a final: from the end of its last word to this event
    quiet_until_s: float | None = None  # of a final that ends an utterance: so far nobody speaks after it


@dataclass(frozen=True)
class Transcript:
    """A whole recording, written down. Iterating over it gives the segments."""

    text: str  # an utterance a line
    language: str  # a code such as "en": the language of most of the speech; "" without any
    duration_s: float  # of the sound, silence included
    segments: tuple[TranscriptEvent, ...]  # the finals that have text, in order, with times and words

    def __iter__(self) -> Iterator[TranscriptEvent]:
        return iter(self.segments)
