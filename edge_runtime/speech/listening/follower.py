"""Live recognition policy: when to run the recognizer on growing speech, and which words to publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..audio import SPEECH_RATE_HZ, AudioBlock
from ..recognition.recognizer import Recognizer
from ..recognition.transcript import TranscriptEvent
from ..vad import EndReason, OpenSegment, SpeechDetector, SpeechEnded, SpeechEvent, SpeechStarted
from .event_writer import EventWriter, Place
from .gates import translate
from .language import LanguageChoice
from .options import ListenOptions
from .segment_text import Carried, SegmentText
from .stats import ListenStats

_END_S = 0.2  # of quiet after a word: then all of it has been recorded
_SHARE = 0.8  # of the time that recognition passes may take
_FORGET_AFTER_S = 30.0  # a machine that was too slow may have been busy with something else


class Pace:
    """How much new sound each pass over a growing utterance waits for, given what passes cost."""

    def __init__(self, step_s: float, longest_step_s: float) -> None:
        self._step_s, self._longest_step_s = step_s, longest_step_s
        self._cost_s = 0.0  # of the last pass
        self._ended_s = 0.0  # when it ended

    def note_pass(self, cost_s: float, now_s: float) -> None:
        self._cost_s, self._ended_s = cost_s, now_s

    def step_s(self, now_s: float) -> float | None:
        """Seconds of new sound before the next pass; None: passes take too long, make none."""
        step_s = max(self._step_s, self._cost_s / _SHARE)
        if step_s <= self._longest_step_s:
            return step_s
        return self._longest_step_s if now_s - self._ended_s > _FORGET_AFTER_S else None


class Follower:
    """Processes block after block; the speech between two pauses is an utterance."""

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
        self._writer = EventWriter(stats, now_s)
        self._pace = Pace(options.step_s, options.longest_step_s)
        self._carried: Carried | None = None  # the segment before ended in the middle of speech,
        self._cut_sample = 0  # here
        self._text = self._fresh()

    def process(self, block: AudioBlock, *, behind: bool) -> Iterator[TranscriptEvent]:
        """`behind`: newer sound is waiting, so partials are skipped."""
        self._note(block)
        for event in self._detector.push(block):
            yield from self._react(event)
        if not self._options.translate:
            yield from self._process_open(behind)
        elif self._detector.open_segment is None:
            yield from self._end_at_cut()

    def finish(self) -> Iterator[TranscriptEvent]:
        """The sound has ended: the remaining events."""
        for event in self._detector.finish():
            yield from self._react(event)
        yield from self._end_at_cut()

    def end(self) -> TranscriptEvent:
        return self._writer.end(self._detector.end_sample / SPEECH_RATE_HZ)

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
        place, until_s = self._place(event.start_sample), event.quiet_until_s
        yield from self._writer.final(words, place, ends=True, quiet_until_s=until_s)
        self._carried = None

    def _end_cut(self, event: SpeechEnded) -> Iterator[TranscriptEvent]:
        words, carried = self._text.cut(event.samples)
        yield from self._writer.final(words, self._place(event.start_sample))
        self._carried, self._cut_sample = carried, event.end_sample
        self._text = self._fresh()

    def _process_open(self, behind: bool) -> Iterator[TranscriptEvent]:
        """Recognize the utterance so far, if a pass is due."""
        segment = self._detector.open_segment
        if segment is None:
            yield from self._end_at_cut()
        elif self._is_due(segment):
            if behind:
                self._stats.partials_skipped += 1
            else:
                yield from self._run_pass(segment)

    def _run_pass(self, segment: OpenSegment) -> Iterator[TranscriptEvent]:
        start_s = self._now_s()
        certain = self._text.run_pass(segment.samples)
        self._pace.note_pass(self._now_s() - start_s, self._now_s())
        place = self._place(segment.start_sample)
        if certain:
            yield from self._writer.final(certain, place)
        yield from self._writer.partial(self._text.shown, place)

    def _is_due(self, segment: OpenSegment) -> bool:
        step_s = self._pace.step_s(self._now_s())
        if step_s is None:
            return False
        length, quiet = len(segment.samples), segment.quiet_samples
        if quiet >= self._options.pause_s * SPEECH_RATE_HZ:
            return not self._text.has_processed(length - quiet + round(_END_S * SPEECH_RATE_HZ))
        fresh_s = (length - self._text.processed_samples) / SPEECH_RATE_HZ
        return fresh_s >= step_s and not quiet  # a pause that begins will show more

    def _end_at_cut(self) -> Iterator[TranscriptEvent]:
        """End an utterance that was cut, as no speech followed the cut."""
        if self._carried is None:
            return
        place = self._place(self._cut_sample)
        if self._options.translate:
            yield from self._writer.translation("", place, self._cut_sample / SPEECH_RATE_HZ, ends=True)
        else:
            yield from self._writer.final(self._carried.guess.words, place, ends=True)
        self._carried = None

    def _translate(self, event: SpeechEnded) -> Iterator[TranscriptEvent]:
        ends = event.reason is not EndReason.LENGTH
        self._carried, self._cut_sample = None if ends else Carried(), event.end_sample
        text = translate(self._recognizer, self._language, event.samples)
        self._stats.decodes += 1
        place = self._place(event.start_sample)
        yield from self._writer.translation(text, place, event.end_sample / SPEECH_RATE_HZ, ends=ends)

    def _fresh(self) -> SegmentText:
        return SegmentText(self._recognizer, self._language, self._stats, self._carried)

    def _place(self, start_sample: int) -> Place:
        start_s = start_sample / SPEECH_RATE_HZ - self._text.lead_s
        return Place(start_s, self._language.latest, self._carried is not None)
