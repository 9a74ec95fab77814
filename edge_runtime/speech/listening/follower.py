"""The policy: when to look at what is being said, and what to tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..audio import SPEECH_RATE_HZ, AudioBlock
from ..recognition.recognizer import Recognizer
from ..recognition.transcript import TranscriptEvent
from ..vad import EndReason, OpenSegment, SpeechDetector, SpeechEnded, SpeechEvent, SpeechStarted
from .language import LanguageChoice
from .options import ListenOptions
from .pace import Pace
from .segment_text import Carried, SegmentText
from .stats import ListenStats
from .teller import Place, Teller
from .translating import translate

_END_S = 0.2  # of quiet after a word: then all of it has been heard


class Follower:
    """Hears block after block; what is between two pauses is an utterance."""

    def __init__(
        self,
        recognizer: Recognizer,
        detector: SpeechDetector,
        options: ListenOptions,
        stats: ListenStats,
        now_s: Callable[[], float],
    ) -> None:
        self._recognizer, self._detector, self._options = recognizer, detector, options
        self._stats, self._now_s = stats, now_s
        self._language = LanguageChoice(options.language)
        self._teller = Teller(stats, now_s)
        self._pace = Pace(options.step_s, options.longest_step_s)
        self._carried: Carried | None = None  # the segment before ended in the middle of speech,
        self._cut_sample = 0  # here
        self._text = self._fresh()

    def hear(self, block: AudioBlock, *, behind: bool) -> Iterator[TranscriptEvent]:
        """`behind`: more sound has come already, so that this is no time for partials."""
        self._note(block)
        for event in self._detector.push(block):
            yield from self._react(event)
        if not self._options.translate:
            yield from self._look(behind)
        elif self._detector.open_segment is None:
            yield from self._end_at_cut()

    def finish(self) -> Iterator[TranscriptEvent]:
        """The sound is over."""
        for event in self._detector.finish():
            yield from self._react(event)
        yield from self._end_at_cut()

    def end(self) -> TranscriptEvent:
        return self._teller.end(self._detector.end_sample / SPEECH_RATE_HZ)

    def _note(self, block: AudioBlock) -> None:
        self._stats.heard_s += len(block.samples) / SPEECH_RATE_HZ
        self._stats.dropped_s += block.dropped_samples / SPEECH_RATE_HZ
        lag_s = self._now_s() - block.end_sample / SPEECH_RATE_HZ
        self._stats.longest_lag_s = max(self._stats.longest_lag_s, lag_s)

    def _react(self, event: SpeechEvent) -> Iterator[TranscriptEvent]:
        if isinstance(event, SpeechStarted):
            if event.start_sample != self._cut_sample:
                yield from self._end_at_cut()
            self._text = self._fresh()
        elif self._options.translate:
            yield from self._translate(event)
        elif event.reason is EndReason.LENGTH:
            yield from self._end_cut(event)
        else:
            yield from self._end(event)

    def _end(self, event: SpeechEnded) -> Iterator[TranscriptEvent]:
        words = self._text.finish(event.samples)
        yield from self._teller.final(words, self._place(event.start_sample), ends=True)
        self._carried = None

    def _end_cut(self, event: SpeechEnded) -> Iterator[TranscriptEvent]:
        words, carried = self._text.cut(event.samples)
        yield from self._teller.final(words, self._place(event.start_sample))
        self._carried, self._cut_sample = carried, event.end_sample
        self._text = self._fresh()

    def _look(self, behind: bool) -> Iterator[TranscriptEvent]:
        """Recognize the utterance as far as it goes, if it is time to."""
        segment = self._detector.open_segment
        if segment is None:
            yield from self._end_at_cut()
        elif self._is_due(segment):
            if behind:
                self._stats.partials_skipped += 1
            else:
                yield from self._tell(segment)

    def _tell(self, segment: OpenSegment) -> Iterator[TranscriptEvent]:
        start_s = self._now_s()
        certain = self._text.look(segment.samples)
        self._pace.looked(self._now_s() - start_s, self._now_s())
        place = self._place(segment.start_sample)
        if certain:
            yield from self._teller.final(certain, place)
        yield from self._teller.partial(self._text.shown, place)

    def _is_due(self, segment: OpenSegment) -> bool:
        step_s = self._pace.step_s(self._now_s())
        if step_s is None:
            return False
        length, quiet = len(segment.samples), segment.quiet_samples
        if quiet >= self._options.pause_s * SPEECH_RATE_HZ:
            return not self._text.has_heard(length - quiet + round(_END_S * SPEECH_RATE_HZ))
        fresh_s = (length - self._text.heard_samples) / SPEECH_RATE_HZ
        return fresh_s >= step_s and not quiet  # a pause that begins is about to tell more

    def _end_at_cut(self) -> Iterator[TranscriptEvent]:
        """Nobody goes on speaking where an utterance was cut: it is over."""
        if self._carried is None:
            return
        place = self._place(self._cut_sample)
        if self._options.translate:
            yield from self._teller.translation("", place, self._cut_sample / SPEECH_RATE_HZ, ends=True)
        else:
            yield from self._teller.final(self._carried.guess.words, place, ends=True)
        self._carried = None

    def _translate(self, event: SpeechEnded) -> Iterator[TranscriptEvent]:
        ends = event.reason is not EndReason.LENGTH
        self._carried, self._cut_sample = None if ends else Carried(), event.end_sample
        text = translate(self._recognizer, self._language, event.samples)
        self._stats.decodes += 1
        place = self._place(event.start_sample)
        yield from self._teller.translation(text, place, event.end_sample / SPEECH_RATE_HZ, ends=ends)

    def _fresh(self) -> SegmentText:
        return SegmentText(self._recognizer, self._language, self._stats, self._carried)

    def _place(self, start_sample: int) -> Place:
        start_s = start_sample / SPEECH_RATE_HZ - self._text.lead_s
        return Place(start_s, self._language.latest, self._carried is not None)
