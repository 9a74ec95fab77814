"""Stream clocks: the position in the stream of the sound that is being spoken now."""

from __future__ import annotations

import time
from collections.abc import Callable


class SimulatedClock:
    """For recordings that are processed as live sound: the time of the sound, where one waits for it,
    plus the time that the work in between has really taken.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        """`timer`: seconds; time.process_time leaves out what other programs take."""
        self._timer = timer
        self._offset_s = -timer()

    def now_s(self) -> float:
        return self._timer() + self._offset_s

    def wait_until(self, stream_s: float) -> None:
        """Goes there at once, where it is not yet that late."""
        self._offset_s += max(0.0, stream_s - self.now_s())


class ArrivalClock:
    """For live sound: the position follows from the block that came with the least delay."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._offset_s: float | None = None

    def arrived(self, end_s: float) -> None:
        """Sound up to there has just come."""
        offset_s = end_s - self._timer()
        self._offset_s = offset_s if self._offset_s is None else max(self._offset_s, offset_s)

    def now_s(self) -> float:
        return 0.0 if self._offset_s is None else self._timer() + self._offset_s
