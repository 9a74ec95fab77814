"""Positions of decoded sound, from its time stamps where those are plausible."""

from __future__ import annotations

from typing import Any

# Clocks of recorders drift, and WebM counts whole milliseconds: less than this is no hole.
_SHORTEST_HOLE_S = 0.5
_LONGEST_HOLE_S = 3_600.0  # where the file does not say how long it is


class Timeline:
    """Counts what was decoded, and finds holes by the time stamps.

    Time begins where the file does: in a film whose sound sets in later, with a hole.
    """

    def __init__(self, start_us: int | None, duration_s: float | None) -> None:
        """`start_us`: the earliest time stamp of all tracks; None when there are none."""
        self.read_s = 0.0  # decoded so far, and holes
        self.damaged_packets = 0
        self._duration_s = duration_s
        self._start_s = None if start_us is None else start_us / 1e6

    def advance(self, frame: Any) -> int:
        """Samples lost just before this frame (an av.AudioFrame), at its own rate."""
        hole_s = self._hole_s(frame)
        self.read_s += hole_s + frame.samples / frame.sample_rate
        return round(hole_s * int(frame.sample_rate))

    def _hole_s(self, frame: Any) -> float:
        if frame.pts is None or frame.time_base is None:
            return 0.0
        stamp_s = float(frame.pts * frame.time_base)
        if self._start_s is None:
            self._start_s = stamp_s
        hole_s = stamp_s - self._start_s - self.read_s
        longest_s = (
            _LONGEST_HOLE_S if self._duration_s is None else self._duration_s - self.read_s + _SHORTEST_HOLE_S
        )
        return hole_s if _SHORTEST_HOLE_S < hole_s <= longest_s else 0.0
