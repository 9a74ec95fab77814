"""What the voice detector tells. All positions are samples at 16 kHz from the stream's start."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..audio import Samples


class EndReason(str, Enum):
    SILENCE = "silence"  # a pause long enough for a segment of this length
    LENGTH = "length"  # cut where a pause was likeliest; the next segment begins there
    GAP = "gap"  # sound is missing after it
    END = "end"  # the stream ended


@dataclass(frozen=True)
class SpeechStarted:
    start_sample: int  # with padding; the sound before it is not in any later segment


@dataclass(frozen=True)
class SpeechEnded:
    start_sample: int
    end_sample: int
    reason: EndReason
    samples: Samples = field(compare=False, repr=False)  # (end_sample - start_sample,)


SpeechEvent = SpeechStarted | SpeechEnded


@dataclass(frozen=True)
class OpenSegment:
    """A segment that has begun and not ended, as far as it goes."""

    start_sample: int
    quiet_samples: int  # since somebody last spoke; 0 while somebody does
    samples: Samples = field(compare=False, repr=False)  # (n,), the caller's own copy
