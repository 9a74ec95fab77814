"""Positions of decoded sound by time stamps, where these are plausible, and holes between them."""

from __future__ import annotations

from typing import Any, NamedTuple

# Clocks of recorders drift, and WebM counts whole milliseconds: less than this is no hole.
_SHORTEST_HOLE_S = 0.5
_SHORTEST_START_S = 0.03  # before the first sound: a coder's delay is less
_LONGEST_HOLE_S = 3_600.0  # where the file does not say how long it is


class Loss(NamedTuple):
    """Sound that could not be decoded."""

    start_s: float
    length_s: float


class Timeline:
    """Counts what was decoded, and finds holes by the time stamps.

    Time begins where the file does: in a film whose sound sets in later, with a hole. A hole is a
    pause of the recorder, or a Loss where something in front of it was damaged.
    """

    def __init__(self, start_us: int | None, end_s: float | None, *, has_pauses: bool) -> None:
        """`start_us`: the earliest time stamp of all tracks; None when there are none. `end_s`: of the
        last track. `has_pauses`: the format can tell a pause; in others each hole is a loss."""
        self.read_s = 0.0  # decoded so far, and holes
        self.losses: list[Loss] = []
        self._end_s = end_s
        self._start_s = None if start_us is None else start_us / 1e6
        self._has_pauses = has_pauses
        self._damaged = self._begun = False
        self._good_bytes = self._lost_bytes = 0
        self._good_s = 0.0

    def skip(self, size_bytes: int) -> None:
        """So much of the file could not be decoded."""
        self._damaged = True
        self._lost_bytes += size_bytes

    def take(self, size_bytes: int) -> None:
        """So much of the file will be the next frames."""
        self._good_bytes += size_bytes

    def advance(self, frame: Any, *, by_bytes: bool = False) -> int:
        """Samples lost just before this frame (an av.AudioFrame), at its own rate.

        `by_bytes`: the time stamps only count what was decoded.
        """
        hole_s = self._skipped_s() if by_bytes else self._hole_s(frame)
        if hole_s and (self._damaged or (self._begun and not self._has_pauses)):
            self.losses.append(Loss(self.read_s, hole_s))
        self._damaged, self._begun, self._lost_bytes = False, True, 0
        length_s = frame.samples / frame.sample_rate
        self._good_s += length_s
        self.read_s += hole_s + length_s
        return round(hole_s * int(frame.sample_rate))

    def _skipped_s(self) -> float:
        return self._good_s * self._lost_bytes / self._good_bytes if self._good_bytes else 0.0

    def _hole_s(self, frame: Any) -> float:
        if frame.pts is None or frame.time_base is None:
            return 0.0
        stamp_s = float(frame.pts * frame.time_base)
        if self._start_s is None:
            self._start_s = stamp_s
        hole_s = stamp_s - self._start_s - self.read_s
        shortest_s = _SHORTEST_HOLE_S if self._begun else _SHORTEST_START_S
        longest_s = _LONGEST_HOLE_S if self._end_s is None else self._end_s - self.read_s + _SHORTEST_HOLE_S
        return hole_s if shortest_s < hole_s <= longest_s else 0.0
