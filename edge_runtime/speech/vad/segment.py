"""A segment of speech while it grows: its frames, and the best place for a cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .events import SegmentOptions, in_samples

_ABOUT_AS_LIKELY = 0.1  # our assumption: closer probabilities say nothing about which is the pause


class Frame(NamedTuple):
    probability: float
    energy: float
    speaking: bool


class Segment:
    """Frames from first_frame_sample on; the sound from start_sample, which lies before it, is padding."""

    def __init__(
        self, start_sample: int, first_frame_sample: int, frame_samples: int, options: SegmentOptions
    ) -> None:
        self.start_sample = start_sample
        self.speech_end_sample = first_frame_sample  # after the last frame in which somebody spoke
        self.speech_samples = 0
        self.certain = False  # it has been announced
        self._first_frame_sample = first_frame_sample
        self._frame_samples = frame_samples
        self._options = options
        self._frames: list[Frame] = []

    @property
    def speaking(self) -> bool:
        return bool(self._frames) and self._frames[-1].speaking

    def add(self, probability: float, energy: float) -> None:
        options = self._options
        threshold = options.stop_probability if self.speaking else options.start_probability
        self._add(Frame(probability, energy, probability >= threshold))

    def _add(self, frame: Frame) -> None:
        self._frames.append(frame)
        if frame.speaking:
            self.speech_samples += self._frame_samples
            self.speech_end_sample = self._first_frame_sample + len(self._frames) * self._frame_samples

    def split(self) -> Segment:
        """The part after the best cut, as a segment of its own. It is certain if anyone speaks in it."""
        cut = self._best_cut()
        cut_sample = self._first_frame_sample + cut * self._frame_samples + self._frame_samples // 2
        after_sample = self._first_frame_sample + (cut + 1) * self._frame_samples
        rest = Segment(cut_sample, after_sample, self._frame_samples, self._options)
        for frame in self._frames[cut + 1 :]:
            rest._add(frame)
        rest.certain = rest.speech_samples > 0
        return rest

    def _best_cut(self) -> int:
        """The frame, of those that may be cut, around which speech is least likely.

        Of several that are about as likely, the quietest: where speech is sure all the time, that is
        the space between two words, or a stop consonant. Its neighbours count half as much, as one
        frame alone may be such a consonant's closure in the middle of a word.
        """
        first, last = self._cuttable()
        probabilities = _with_neighbours([frame.probability for frame in self._frames])[first:last]
        energies = _with_neighbours([frame.energy for frame in self._frames])[first:last]
        likely = probabilities > probabilities.min() + _ABOUT_AS_LIKELY
        return first + int(np.where(likely, np.inf, energies).argmin())

    def _cuttable(self) -> tuple[int, int]:
        """[first, last): frames that leave enough on both sides."""
        options, size = self._options, self._frame_samples
        count, padding = len(self._frames), self._first_frame_sample - self.start_sample
        shortest = in_samples(options.shortest_cut_s)
        last = max(1, count - shortest // size)
        first = max((shortest - padding) // size, count - in_samples(options.cut_search_s) // size, 0)
        return min(first, last - 1), last


def _with_neighbours(values: list[float]) -> NDArray[np.float64]:
    """The mean of each value, twice, and the ones beside it; at the ends, of itself and one."""
    padded = np.pad(np.asarray(values), 1, mode="edge")
    mean: NDArray[np.float64] = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return mean
