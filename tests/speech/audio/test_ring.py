"""The ring between the audio thread and the reader."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_runtime.speech.audio import CaptureRing


def numbered(start: int, count: int, channels: int = 1) -> NDArray[np.float32]:
    return np.repeat(np.arange(start, start + count, dtype=np.float32)[:, None], channels, axis=1)


def test_frames_come_out_as_they_went_in_around_the_end_of_the_ring() -> None:
    ring = CaptureRing(10, channels=2)
    for start in range(0, 70, 7):
        ring.write(numbered(start, 7, channels=2))
        frames, lost = ring.read(100)
        np.testing.assert_array_equal(frames, numbered(start, 7, channels=2))
        assert lost == 0
    assert len(ring.read(100).frames) == 0


def test_what_finds_no_room_is_dropped_counted_and_told_before_what_follows() -> None:
    ring = CaptureRing(10, channels=1)
    ring.write(numbered(0, 6))
    ring.write(numbered(6, 6))  # no room
    ring.write(numbered(12, 3))
    ring.write(numbered(15, 2))  # no room
    assert ring.dropped_frames == 8
    first, second = ring.read(100), ring.read(100)
    assert (first.frames[:, 0].tolist(), first.lost_before_frames) == ([0, 1, 2, 3, 4, 5], 0)
    assert (second.frames[:, 0].tolist(), second.lost_before_frames) == ([12, 13, 14], 6)
    ring.write(numbered(17, 1))
    assert ring.read(100).lost_before_frames == 2


def test_what_the_device_lost_is_told_as_well() -> None:
    ring = CaptureRing(10, channels=1)
    ring.write(numbered(0, 2))
    ring.write(numbered(9, 2), lost_before=7)
    assert [ring.read(100).lost_before_frames for _ in range(2)] == [0, 7]


def test_a_period_larger_than_the_ring_is_dropped() -> None:
    ring = CaptureRing(10, channels=1)
    ring.write(numbered(0, 11))
    assert (ring.waiting_frames, ring.dropped_frames) == (0, 11)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12), st.integers(0, 3)), max_size=60))
def test_every_frame_arrives_in_order_or_is_counted(steps: list[tuple[bool, int, int]]) -> None:
    ring = CaptureRing(16, channels=1)
    position = expected = 0
    for writes, count, lost in steps:
        if writes:
            position += lost
            ring.write(numbered(position, count), lost_before=lost)
            position += count
        else:
            expected = check_follows(expected, *ring.read(count))
    while ring.waiting_frames:
        expected = check_follows(expected, *ring.read(5))
    ring.write(numbered(position, 1))  # tells what was lost at the end
    assert check_follows(expected, *ring.read(1)) == position + 1


def check_follows(expected: int, frames: NDArray[np.float32], lost: int) -> int:
    """The frames are the ones that follow after what was lost; what should come next."""
    start = expected + lost
    np.testing.assert_array_equal(frames, numbered(start, len(frames)))
    return start + len(frames)


def test_a_writer_and_a_reader_at_the_same_time_lose_nothing_uncounted() -> None:
    ring = CaptureRing(1_000, channels=1)
    total = 200_000

    def write() -> None:
        for start in range(0, total, 100):
            ring.write(numbered(start, 100))

    writer = threading.Thread(target=write)
    writer.start()
    expected = 0
    while writer.is_alive() or ring.waiting_frames:
        expected = check_follows(expected, *ring.read(333))
    ring.write(numbered(total, 1))
    assert check_follows(expected, *ring.read(1)) == total + 1
