"""Packing of short segments into one piece of sound: a recognizer costs as much for 2 s as for 10 s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import RecognizedWord
from ..vad import SpeechEnded

_LONGEST_GAP_S = 0.3  # of silence between two segments; what was there was longer


@dataclass(frozen=True)
class Pack:
    """Segments in order, with gaps between them shortened."""

    segments: tuple[SpeechEnded, ...]

    @property
    def length_samples(self) -> int:
        return sum(len(segment.samples) for segment in self.segments) + sum(self._gaps())

    def samples(self) -> Samples:
        """(length_samples,)"""
        pieces: list[Samples] = []
        for segment, gap in zip(self.segments, (*self._gaps(), 0), strict=True):
            pieces += [segment.samples, np.zeros(gap, np.float32)]
        return np.concatenate(pieces)

    def starts_s(self) -> list[float]:
        """Where each segment begins in samples()."""
        lengths = [len(segment.samples) for segment in self.segments[:-1]]
        steps = [0, *(length + gap for length, gap in zip(lengths, self._gaps(), strict=True))]
        return [float(start) / SPEECH_RATE_HZ for start in np.cumsum(steps)]

    def _gaps(self) -> list[int]:
        most = round(_LONGEST_GAP_S * SPEECH_RATE_HZ)
        pairs = zip(self.segments, self.segments[1:], strict=False)
        return [min(most, after.start_sample - before.end_sample) for before, after in pairs]


class Packer:
    """Fills packs up to a length."""

    def __init__(self, longest_s: float) -> None:
        self._most_samples = round(longest_s * SPEECH_RATE_HZ)
        self._segments: list[SpeechEnded] = []

    @property
    def start_sample(self) -> int | None:
        """Where the first segment begins that waits; None: nothing waits."""
        return self._segments[0].start_sample if self._segments else None

    def push(self, segment: SpeechEnded) -> Iterator[Pack]:
        """The pack that is full, as this segment has no room in it."""
        if self._segments and Pack((*self._segments, segment)).length_samples > self._most_samples:
            yield from self.finish()
        self._segments.append(segment)

    def finish(self) -> Iterator[Pack]:
        """What is still open."""
        if self._segments:
            yield Pack(tuple(self._segments))
        self._segments = []


def split_words(
    words: Sequence[RecognizedWord], pack: Pack
) -> Iterator[tuple[SpeechEnded, float, tuple[RecognizedWord, ...]]]:
    """(segment, where it begins in the pack's sound in seconds, its words) for each, without words as well.

    A word belongs where its middle is, and never before the word in front of it.
    """
    starts_s = pack.starts_s()
    places = np.searchsorted(starts_s, [(word.start_s + word.end_s) / 2 for word in words], side="right") - 1
    places = np.maximum.accumulate(np.maximum(places, 0)) if len(places) else places
    for index, segment in enumerate(pack.segments):
        own = tuple(word for word, place in zip(words, places, strict=True) if place == index)
        yield segment, starts_s[index], own
