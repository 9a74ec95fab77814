"""Options of live listening and transcription."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ...errors import OptionInvalid
from ...values.checks import require_known, require_range
from ..recognition.languages import parse_language
from ..vad import SegmentOptions


class TranscribeKeywords(TypedDict, total=False):
    """The keyword arguments of SpeechRuntime.transcribe; None and absent mean the default."""

    language: str | None  # by name or code, "French" or "fr"; default: detected
    translate: bool | None  # to English, by the recognizer itself; default: False


class ListenKeywords(TranscribeKeywords, total=False):
    """The keyword arguments of SpeechRuntime.listen; ListenOptions has their meaning and defaults."""

    step_s: float | None
    longest_step_s: float | None
    pause_s: float | None
    backlog_s: float | None
    segments: SegmentOptions | None


def _short_segments() -> SegmentOptions:
    """Each pass processes the whole segment again. Over 253 s in five languages segments of at most
    10 s cost a tenth less than the usual 14 s, with as many errors (73 and 75 of 609 words).
    """
    return SegmentOptions(longest_segment_s=10.0, pauses_s=((0.0, 0.5), (6.0, 0.25), (8.0, 0.12)))


@dataclass(frozen=True)
class ListenOptions:
    """Raises OptionInvalid for a value outside its range."""

    language: str | None = None  # a code such as "en"; None: detected once, and kept
    translate: bool = False  # to English, whole utterances only: no partials then
    step_s: float = 1.0  # new sound between two passes over an utterance that goes on
    longest_step_s: float = 4.0  # what a slow machine may make of it; slower still, partials are left out
    pause_s: float = 0.2  # of quiet: the utterance may be over, time for a pass
    backlog_s: float = 120.0  # sound that may wait, in real time; a microphone has a ring of its own as well
    segments: SegmentOptions = field(default_factory=_short_segments)

    def __post_init__(self) -> None:
        require_range("step_s", self.step_s, 0.1, 10.0)
        require_range("longest_step_s", self.longest_step_s, self.step_s, 30.0)
        require_range("pause_s", self.pause_s, 0.05, 5.0)
        require_range("backlog_s", self.backlog_s, 1.0, 3_600.0)
        require_range("segments.longest_segment_s", self.segments.longest_segment_s, 1.0, 28.0)

    def require_language(self, known: Sequence[str]) -> None:
        """Raises OptionInvalid for a language that the recognizer does not have."""
        if self.language is not None and self.language not in known:
            raise OptionInvalid(
                f"language: {self.language!r} is none of the {len(known)} that this model knows",
                hint="known: " + ", ".join(known),
                option="language",
                value=self.language,
            )


def listen_options(keywords: Mapping[str, Any], kind: type[Mapping[str, Any]]) -> ListenOptions:
    """`kind`: TranscribeKeywords or ListenKeywords, whose names are the known ones.

    Raises OptionInvalid for an unknown keyword, an unknown language or a value outside its range.
    """
    given = {name: value for name, value in keywords.items() if value is not None}
    require_known(given, kind.__annotations__)
    if "language" in given:
        given["language"] = parse_language(str(given["language"]))
    return ListenOptions(**given)
