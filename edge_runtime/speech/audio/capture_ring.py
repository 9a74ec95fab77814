"""A ring buffer between the audio thread and the reading thread, without locks."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Captured(NamedTuple):
    frames: NDArray[np.float32]  # (n, channels)
    lost_before_frames: int


class CaptureRing:
    """A bounded queue of frames for one writer and one reader.

    There is no lock: each side only ever raises its own count of frames, and does so after the
    data is in place. When the ring is full, what comes is dropped, counted, and reported to the
    reader just before the next frames that found room.
    """

    def __init__(self, capacity_frames: int, channels: int) -> None:
        self.dropped_frames = 0  # in all; written by the audio thread
        self._ring = np.zeros((capacity_frames, channels), np.float32)
        self._written = 0  # frames, ever; the writer's
        self._read = 0  # frames, ever; the reader's
        self._losses: deque[tuple[int, int]] = deque()  # (count written when it happened, frames lost)
        self._lost = 0  # frames, since the last that found room; the writer's

    @property
    def written_frames(self) -> int:
        return self._written

    @property
    def waiting_frames(self) -> int:
        return self._written - self._read

    def write(self, frames: NDArray[np.float32], *, lost_before: int = 0) -> None:
        """(n, channels), copied. `lost_before`: what the device itself says is missing. Never waits."""
        count, capacity = len(frames), len(self._ring)
        self._lost += lost_before
        self.dropped_frames += lost_before
        if count > capacity - self.waiting_frames:
            self._lost += count
            self.dropped_frames += count
            return
        if self._lost:
            self._losses.append((self._written, self._lost))
            self._lost = 0
        start = self._written % capacity
        first = min(count, capacity - start)
        self._ring[start : start + first] = frames[:first]
        self._ring[: count - first] = frames[first:]
        self._written += count

    def read(self, most_frames: int) -> Captured:
        """What is there, up to the next loss; (0, channels) when there is nothing."""
        lost = 0
        waiting = self.waiting_frames  # first: a loss is noted before the frames behind it are counted
        if waiting and self._losses and self._losses[0][0] == self._read:
            lost = self._losses.popleft()[1]
        until_loss = self._losses[0][0] - self._read if self._losses else waiting
        count = min(most_frames, waiting, until_loss)
        start = self._read % len(self._ring)
        first = min(count, len(self._ring) - start)
        frames = np.concatenate((self._ring[start : start + first], self._ring[: count - first]))
        self._read += count
        return Captured(frames, lost)
