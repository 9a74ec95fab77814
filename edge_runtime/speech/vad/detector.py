"""The voice detector: blocks of any length in, segments of speech out."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..audio import SPEECH_RATE_HZ, AudioBlock, Samples
from .events import EndReason, OpenSegment, SegmentOptions, SpeechEvent, in_samples
from .gain import QuietGain
from .segmenter import Segmenter


class SpeechModel(Protocol):
    """Gives the probability of speech for each frame."""

    frame_samples: int

    def probabilities(self, frames: Samples) -> Samples:
        """(n, frame_samples) -> (n,) in [0, 1]."""

    def reset(self) -> None: ...


class SpeechDetector:
    """One stream's detector. How the sound was cut into blocks makes no difference to what it finds."""

    def __init__(self, model: SpeechModel, options: SegmentOptions | None = None) -> None:
        model.reset()
        self._model = model
        self._options = options or SegmentOptions()
        self._segmenter = Segmenter(self._options)
        self._gain = QuietGain()
        self._rest = np.zeros(0, np.float32)  # less than a frame

    @property
    def end_sample(self) -> int:
        """The position after everything that was pushed."""
        return self._segmenter.end_sample + len(self._rest)

    @property
    def open_segment(self) -> OpenSegment | None:
        """The segment that is growing, up to the last whole frame; None without speech."""
        return self._segmenter.open_segment

    def push(self, block: AudioBlock) -> list[SpeechEvent]:
        """The block that follows, at 16 kHz; later than expected if sound was lost.

        Raises ValueError for another rate, or a block that begins before the last one ended.
        """
        lost = block.start_sample - self.end_sample
        if block.rate_hz != SPEECH_RATE_HZ or lost < 0:
            raise ValueError(
                f"a block at {block.rate_hz} Hz from sample {block.start_sample};"
                f" expected {SPEECH_RATE_HZ} Hz, from {self.end_sample} on"
            )
        events: list[SpeechEvent] = []
        if lost > in_samples(self._options.filled_gap_s):
            events += self._restart(block.start_sample)
        elif lost:
            events += self._hear(np.zeros(lost, np.float32))
        return events + self._hear(block.samples)

    def finish(self) -> list[SpeechEvent]:
        """The stream has ended: what was still open. Nothing may be pushed after it."""
        return self._flush(EndReason.END)

    def _hear(self, samples: Samples) -> list[SpeechEvent]:
        size = self._model.frame_samples
        pending = np.concatenate((self._rest, samples))
        count = len(pending) // size
        self._rest = pending[count * size :].copy()
        frames = pending[: count * size].reshape(count, size)
        probabilities = self._model.probabilities(self._gain.apply(frames)).tolist()
        pairs = zip(probabilities, frames, strict=True)
        return [event for probability, frame in pairs for event in self._segmenter.push(probability, frame)]

    def _restart(self, start_sample: int) -> list[SpeechEvent]:
        events = self._flush(EndReason.GAP)
        self._model.reset()
        self._segmenter = Segmenter(self._options, start_sample=start_sample)
        return events

    def _flush(self, reason: EndReason) -> list[SpeechEvent]:
        rest, self._rest = self._rest, self._rest[:0]
        events: list[SpeechEvent] = []
        if len(rest):
            filled = np.zeros((1, self._model.frame_samples), np.float32)  # the model takes whole frames
            filled[0, : len(rest)] = rest
            probability = self._model.probabilities(self._gain.apply(filled))[0]
            events += self._segmenter.push(float(probability), rest)
        return events + self._segmenter.finish(reason)
