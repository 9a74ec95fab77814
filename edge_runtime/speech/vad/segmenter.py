"""Segments of speech from the probabilities of frames, independent of the model."""

from __future__ import annotations

import numpy as np

from ..audio import Samples
from .events import (
    EndReason,
    OpenSegment,
    SegmentOptions,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
    in_samples,
)
from .sample_history import SampleHistory
from .segment import Segment


class Segmenter:
    """Takes frames in order; events come out as soon as they are certain.

    Segments do not overlap, and each lies within the sound. Silence is forgotten: at most
    the longest segment and its padding are held.
    """

    def __init__(self, options: SegmentOptions | None = None, *, start_sample: int = 0) -> None:
        self._options = options or SegmentOptions()
        self._history = SampleHistory(start_sample)
        self._segment: Segment | None = None  # perhaps not yet certain to be speech

    @property
    def end_sample(self) -> int:
        """The position after the last frame."""
        return self._history.end_sample

    @property
    def open_segment(self) -> OpenSegment | None:
        """The segment that is growing, so far; None without speech."""
        segment = self._segment
        if segment is None or not segment.certain:
            return None
        samples = self._history.read(segment.start_sample, self.end_sample)
        return OpenSegment(segment.start_sample, self.end_sample - segment.speech_end_sample, samples)

    def push(self, probability: float, samples: Samples) -> list[SpeechEvent]:
        """One frame, (n,); only the stream's last may be shorter than the others."""
        options = self._options
        if self._segment is None:
            self._history.drop_before(self.end_sample - in_samples(options.padding_before_s))
            if probability < options.start_probability:
                self._history.append(samples)
                return []
            self._segment = self._begin(len(samples))
        self._history.append(samples)
        self._segment.add(probability, float(np.dot(samples, samples)))
        return self._decide(self._segment)

    def finish(self, reason: EndReason = EndReason.END) -> list[SpeechEvent]:
        """The stream ends here. A word that is cut off by it is kept."""
        segment, self._segment = self._segment, None
        if segment is None or not segment.speech_samples:  # a cut may leave a rest without speech
            return []
        events: list[SpeechEvent] = [] if segment.certain else [SpeechStarted(segment.start_sample)]
        return [*events, self._end(segment, self._padded_end(segment), reason)]

    def _begin(self, frame_samples: int) -> Segment:
        first = self.end_sample
        start = max(first - in_samples(self._options.padding_before_s), self._history.start_sample)
        return Segment(start, first, frame_samples, self._options)

    def _decide(self, segment: Segment) -> list[SpeechEvent]:
        options = self._options
        length = self.end_sample - segment.start_sample
        quiet = self.end_sample - segment.speech_end_sample
        paused = quiet >= options.ending_pause_samples(length)
        full = length >= in_samples(options.longest_segment_s)
        events: list[SpeechEvent] = []
        if not segment.certain:
            if segment.speech_samples < in_samples(options.minimum_speech_s):
                self._segment = None if paused or full else segment  # clicks
                return []
            segment.certain = True
            events.append(SpeechStarted(segment.start_sample))
        if paused:
            events.append(self._end(segment, self._padded_end(segment), EndReason.SILENCE))
        elif full:
            events += self._cut(segment)
        return events

    def _cut(self, segment: Segment) -> list[SpeechEvent]:
        rest = segment.split()
        events: list[SpeechEvent] = [self._end(segment, rest.start_sample, EndReason.LENGTH)]
        self._segment = rest
        if rest.certain:
            events.append(SpeechStarted(rest.start_sample))
        return events

    def _padded_end(self, segment: Segment) -> int:
        padding = in_samples(self._options.padding_after_s)
        return min(self.end_sample, segment.speech_end_sample + padding)

    def _end(self, segment: Segment, end_sample: int, reason: EndReason) -> SpeechEnded:
        samples = self._history.read(segment.start_sample, end_sample)
        quiet_until = end_sample if reason is EndReason.LENGTH else self.end_sample
        self._history.drop_before(end_sample)  # so that no later segment reaches into this one
        self._segment = None
        return SpeechEnded(segment.start_sample, end_sample, reason, samples, quiet_until)
