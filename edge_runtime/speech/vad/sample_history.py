"""The last seconds of a stream, by position."""

from __future__ import annotations

import numpy as np

from ..audio import Samples

_START_CAPACITY = 65_536


class SampleHistory:
    """Sound from one position to another; what is not needed any more is dropped."""

    def __init__(self, start_sample: int = 0) -> None:
        self.start_sample = start_sample
        self._samples = np.zeros(
            _START_CAPACITY, np.float32
        )  # grows to twice the longest segment, never more
        self._begin = self._end = 0  # what of it is in use

    @property
    def end_sample(self) -> int:
        return self.start_sample + self._end - self._begin

    def append(self, samples: Samples) -> None:
        if self._end + len(samples) > len(self._samples):
            self._make_room(len(samples))
        self._samples[self._end : self._end + len(samples)] = samples
        self._end += len(samples)

    def drop_before(self, sample: int) -> None:
        """Positions below are forgotten; those from end_sample on cannot be."""
        count = min(sample, self.end_sample) - self.start_sample
        if count > 0:
            self._begin += count
            self.start_sample += count

    def read(self, start_sample: int, end_sample: int) -> Samples:
        """A copy of [start_sample, end_sample), which must be held."""
        offset = self._begin - self.start_sample
        held: Samples = self._samples[start_sample + offset : end_sample + offset].copy()
        return held

    def _make_room(self, count: int) -> None:
        used = self._samples[self._begin : self._end]
        needed = 2 * (len(used) + count)  # at least half is free afterwards: moving is rare
        target = self._samples if needed <= len(self._samples) else np.zeros(needed, np.float32)
        target[: len(used)] = used.copy()
        self._samples, self._begin, self._end = target, 0, len(used)
