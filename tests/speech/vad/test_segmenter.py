"""Segments for probabilities written by hand. A frame is 512 samples, 32 ms."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.speech.vad import (
    EndReason,
    Segmenter,
    SegmentOptions,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)

FRAME = 512
# Whole frames, so that positions can be counted by hand.
OPTIONS = SegmentOptions(
    padding_before_s=0.096,  # 3 frames
    padding_after_s=0.064,  # 2
    minimum_speech_s=0.096,  # 3
    pauses_s=((0.0, 0.32), (3.2, 0.16), (4.8, 0.064)),  # 10 frames, from 100 on 5, from 150 on 2
    longest_segment_s=6.4,  # 200
    cut_search_s=1.6,  # 50
    shortest_cut_s=0.64,  # 20
)


def segment(
    probabilities: list[float], options: SegmentOptions = OPTIONS, levels: list[float] | None = None
) -> list[tuple[int, SpeechEvent]]:
    """(frames pushed by then, event) for each; finish() is at the end."""
    segmenter = Segmenter(options)
    found: list[tuple[int, SpeechEvent]] = []
    for number, probability in enumerate(probabilities, start=1):
        frame = np.full(FRAME, levels[number - 1] if levels else number, np.float32)
        found += [(number, event) for event in segmenter.push(probability, frame)]
    return found + [(len(probabilities), event) for event in segmenter.finish()]


def frames_of(found: list[tuple[int, SpeechEvent]]) -> list[tuple[float, float, str]]:
    """The segments as (first frame, frame after the last, reason)."""
    ended = [event for _, event in found if isinstance(event, SpeechEnded)]
    started = [event for _, event in found if isinstance(event, SpeechStarted)]
    assert [event.start_sample for event in started] == [event.start_sample for event in ended]
    for event in ended:
        assert len(event.samples) == event.end_sample - event.start_sample
    return [(event.start_sample / FRAME, event.end_sample / FRAME, event.reason.value) for event in ended]


def test_speech_is_announced_when_it_is_certain_and_ends_after_the_pause() -> None:
    found = segment([0.1] * 20 + [0.9] * 30 + [0.1] * 40)
    assert [(number, type(event)) for number, event in found] == [(23, SpeechStarted), (60, SpeechEnded)]
    assert frames_of(found) == [(17, 52, "silence")]


def test_a_segment_has_the_sound_of_its_positions() -> None:
    [(_, _), (_, ended)] = segment([0.1] * 20 + [0.9] * 30 + [0.1] * 40)
    assert isinstance(ended, SpeechEnded)
    np.testing.assert_array_equal(ended.samples, np.repeat(np.arange(18, 53, dtype=np.float32), FRAME))


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        pytest.param([0.49] * 60, [], id="never likely enough to begin"),
        pytest.param([0.5] + [0.35] * 30 + [0.1] * 20, [(0, 33, "silence")], id="stays until it is unlikely"),
        pytest.param([0.9] * 10 + [0.34] * 20, [(0, 12, "silence")], id="unlikely is a pause"),
        pytest.param(
            [0.9] * 10 + [0.3] + [0.49] * 20, [(0, 12, "silence")], id="half likely does not end a pause"
        ),
        pytest.param(
            [0.9] * 10 + [0.1] * 9 + [0.9] * 10, [(0, 29, "end")], id="a shorter pause does not end it"
        ),
        pytest.param([0.9] * 2 + [0.1] * 60, [], id="a click"),
        pytest.param(([0.9] * 2 + [0.1] * 10) * 9, [], id="many clicks"),
        pytest.param(
            [0.9] * 2 + [0.1] * 9 + [0.9] + [0.1] * 20, [(0, 14, "silence")], id="a word in two parts"
        ),
        pytest.param([], [], id="nothing"),
    ],
)
def test_where_speech_begins_and_ends(
    probabilities: list[float], expected: list[tuple[float, float, str]]
) -> None:
    assert frames_of(segment(probabilities)) == expected


def test_padding_never_reaches_into_the_segment_before() -> None:
    found = frames_of(segment([0.9] * 10 + [0.1] * 11 + [0.9] * 10 + [0.1] * 20))
    assert found == [(0, 12, "silence"), (18, 33, "silence")]
    close = SegmentOptions(padding_before_s=0.64, padding_after_s=0.64, pauses_s=((0.0, 0.32),))
    found = frames_of(segment([0.9] * 10 + [0.1] * 11 + [0.9] * 10 + [0.1] * 20, close))
    assert found == [(0, 20, "silence"), (20, 41, "silence")]


@pytest.mark.parametrize("last", [1, 2, 3, 50])
def test_a_word_cut_off_by_the_end_is_kept(last: int) -> None:
    assert frames_of(segment([0.1] * 20 + [0.9] * last)) == [(17, 20 + last, "end")]


def test_the_end_comes_before_the_pause_is_over() -> None:
    assert frames_of(segment([0.9] * 20 + [0.1] * 5)) == [(0, 22, "end")]
    assert frames_of(segment([0.9] * 20 + [0.1])) == [(0, 21, "end")]


def test_a_long_segment_ends_at_a_shorter_pause() -> None:
    short_pause = [0.9] * 99 + [0.1] * 4 + [0.9] * 20 + [0.1] * 5
    assert frames_of(segment(short_pause + [0.9] * 20)) == [(0, 125, "silence"), (125, 148, "end")]
    assert frames_of(segment([0.9] * 160 + [0.1] * 2 + [0.9] * 20)) == [
        (0, 162, "silence"),
        (162, 182, "end"),
    ]


# --- the hard cut ----------------------------------------------------------------------


def test_without_a_pause_the_cut_is_where_speech_is_least_likely() -> None:
    dip = [0.9] * 170 + [0.5, 0.4, 0.5] + [0.9] * 87
    levels = [0.0 if number == 165 else 0.5 for number in range(260)]
    found = segment(dip, levels=levels)
    assert frames_of(found) == [(0, 171.5, "length"), (171.5, 260, "end")]
    assert [number for number, _ in found] == [3, 200, 200, 260]


def test_a_pause_beats_a_quieter_place() -> None:
    """And a pause of two frames a single unlikely one, which may be a closed consonant."""
    probabilities = [0.9] * 165 + [0.2] + [0.9] * 4 + [0.2, 0.2] + [0.9] * 88
    levels = [0.0 if number == 160 else 0.5 for number in range(260)]
    options = SegmentOptions(**{**vars(OPTIONS), "pauses_s": ((0.0, 0.32),)})
    (_, end, reason), *_ = frames_of(segment(probabilities, options, levels))
    assert (end, reason) in ((170.5, "length"), (171.5, "length"))


def test_speech_that_is_sure_all_the_time_is_cut_where_it_is_quietest() -> None:
    levels = [0.5] * 260
    levels[170:173] = [0.1, 0.01, 0.1]
    assert frames_of(segment([0.99, 0.95] * 130, levels=levels))[0] == (0, 171.5, "length")


@pytest.mark.parametrize("dip", [100, 195])
def test_no_side_of_a_cut_is_a_scrap(dip: int) -> None:
    """The best place by far is too far back, or too near the end: another is taken."""
    probabilities = [0.9] * 260
    probabilities[dip : dip + 2] = [0.4, 0.4]
    (_, end, reason), *_ = frames_of(segment(probabilities, levels=[0.5] * 260))
    assert reason == "length"
    assert 150 <= end <= 180


def test_speech_without_end_is_cut_again_and_again_and_nothing_is_lost() -> None:
    found = frames_of(segment([0.9] * 2_000, levels=[0.5] * 2_000))
    starts, ends = [start for start, _, _ in found], [end for _, end, _ in found]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == 2_000
    assert all(100 <= end - start <= 200 for start, end, _ in found[:-1])


# --- while it grows --------------------------------------------------------------------


def test_a_growing_segment_can_be_read() -> None:
    segmenter = Segmenter(OPTIONS)
    lengths, quiet = [], []
    for number, probability in enumerate([0.1] * 5 + [0.9] * 6 + [0.1] * 12):
        segmenter.push(probability, np.full(FRAME, number, np.float32))
        grown = segmenter.open_segment
        lengths.append(len(grown.samples) // FRAME if grown else 0)
        quiet.append(grown.quiet_samples // FRAME if grown else 0)
    assert lengths == [0] * 7 + [6, 7, 8, 9, *range(10, 19), 0, 0, 0]
    assert quiet == [0] * 11 + [*range(1, 10), 0, 0, 0]


def test_what_was_read_of_a_growing_segment_does_not_change_afterwards() -> None:
    segmenter = Segmenter(OPTIONS)
    for _ in range(10):
        segmenter.push(0.9, np.ones(FRAME, np.float32))
    grown = segmenter.open_segment
    assert grown is not None
    for _ in range(2_000):
        segmenter.push(0.0, np.zeros(FRAME, np.float32))
    assert (grown.samples == 1).all()


def test_hours_of_silence_and_of_speech_take_no_memory() -> None:
    segmenter = Segmenter(OPTIONS)
    for number in range(30_000):
        segmenter.push(0.9 if number % 3_000 < 1_500 else 0.0, np.zeros(FRAME, np.float32))
    assert segmenter.end_sample == 30_000 * FRAME
    held_bytes = segmenter._history._samples.nbytes
    assert held_bytes < 4 * 4 * OPTIONS.longest_segment_s * 16_000


@pytest.mark.parametrize(
    "changed",
    [
        {"start_probability": 0.0},
        {"start_probability": float("nan")},
        {"stop_probability": 0.6},
        {"padding_before_s": -0.1},
        {"minimum_speech_s": 8.0},
        {"longest_segment_s": 0.5},
        {"cut_search_s": 14.0},
        {"shortest_cut_s": 4.0},
        {"pauses_s": ()},
        {"pauses_s": ((1.0, 0.5),)},
        {"pauses_s": ((0.0, 0.5), (9.0, 0.2), (8.0, 0.1))},
        {"pauses_s": ((0.0, 0.0),)},
    ],
)
def test_options_outside_their_range_are_refused(changed: dict[str, object]) -> None:
    name = next(iter(changed))
    with pytest.raises(OptionInvalid, match=name):
        SegmentOptions(**changed)  # type: ignore[arg-type]


def test_every_reason_is_a_word() -> None:
    assert [reason.value for reason in EndReason] == ["silence", "length", "gap", "end"]
