"""Options and events of voice detection. All positions are samples at 16 kHz from the stream's start."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ...errors import OptionInvalid
from ...values.checks import require_range
from ..audio import SPEECH_RATE_HZ, Samples


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
    quiet_until_sample: int | None = None  # so far, nobody speaks after it; None: not known

    @property
    def quiet_until_s(self) -> float | None:
        return None if self.quiet_until_sample is None else self.quiet_until_sample / SPEECH_RATE_HZ


SpeechEvent = SpeechStarted | SpeechEnded


@dataclass(frozen=True)
class OpenSegment:
    """A segment that has begun and not ended, as far as it goes."""

    start_sample: int
    quiet_samples: int  # since somebody last spoke; 0 while somebody does
    samples: Samples = field(compare=False, repr=False)  # (n,), the caller's own copy


@dataclass(frozen=True)
class SegmentOptions:
    """Raises OptionInvalid for a value outside its range."""

    start_probability: float = 0.5  # speech begins at a frame this likely
    stop_probability: float = 0.35  # and lasts until one is less likely than this
    padding_before_s: float = 0.3  # soft consonants come before the first likely frame
    padding_after_s: float = 0.2
    minimum_speech_s: float = 0.1  # less is a click
    # (from this segment length on, a pause of this length ends it), lengths rising
    pauses_s: tuple[tuple[float, float], ...] = ((0.0, 0.5), (8.0, 0.25), (11.0, 0.12))
    longest_segment_s: float = 14.0
    cut_search_s: float = 4.0  # how far back from there a cut may be
    shortest_cut_s: float = 1.0  # neither side of a cut is shorter: out of scraps come invented words
    filled_gap_s: float = 1.0  # a shorter loss counts as silence, a longer one ends the segment

    def __post_init__(self) -> None:
        require_range("start_probability", self.start_probability, 0.01, 1.0)
        require_range("stop_probability", self.stop_probability, 0.0, self.start_probability)
        require_range("longest_segment_s", self.longest_segment_s, 1.0, 600.0)
        require_range("cut_search_s", self.cut_search_s, 0.1, self.longest_segment_s / 2)
        require_range("shortest_cut_s", self.shortest_cut_s, 0.0, self.longest_segment_s / 4)
        for name in ("padding_before_s", "padding_after_s", "minimum_speech_s", "filled_gap_s"):
            require_range(name, getattr(self, name), 0.0, self.longest_segment_s / 2)
        lengths_s = [length_s for length_s, _ in self.pauses_s]
        if not lengths_s or lengths_s[0] != 0 or sorted(set(lengths_s)) != lengths_s:
            raise OptionInvalid(
                f"pauses_s: {self.pauses_s} does not begin at length 0 and rise",
                hint="write it like ((0.0, 0.5), (8.0, 0.25)): lengths and pauses in seconds",
                option="pauses_s",
                value=str(self.pauses_s),
            )
        for _, pause_s in self.pauses_s:
            require_range("pauses_s", pause_s, 0.03, 60.0)

    def ending_pause_samples(self, segment_samples: int) -> int:
        """How long a pause ends a segment that is so long by now."""
        length_s = segment_samples / SPEECH_RATE_HZ
        return in_samples(max(pair for pair in self.pauses_s if pair[0] <= length_s)[1])


def in_samples(duration_s: float) -> int:
    return round(duration_s * SPEECH_RATE_HZ)
