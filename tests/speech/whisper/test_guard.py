"""Loops in Whisper's text, and text that is too much for the time."""

from __future__ import annotations

import pytest

from edge_runtime.speech.whisper.loop_guard import Loop, find_loop, is_too_much, spoken_times


@pytest.mark.parametrize(
    ("tokens", "loop"),
    [
        ([], None),
        ([1, 2, 3], None),
        ([1, 1, 1, 1], None),  # "no, no, no, no" is no sign of anything
        ([1, 1, 1, 1, 1], Loop(1, 5)),
        ([1, 1, 1, 1, 1, 1], Loop(1, 6)),
        ([9, 1, 2, 1, 2, 1, 2], Loop(2, 3)),
        ([9, 1, 2, 1, 2], None),
        ([1, 2, 1, 2, 1, 2, 3], None),  # it went on
        ([*range(12)] * 4, Loop(12, 4)),
        ([*range(13)] * 3, None),  # longer phrases are refrains
        ([1, 2, 1, 2, 1], None),
    ],
)
def test_a_phrase_the_third_time_and_a_token_the_fifth_may_be_a_loop(
    tokens: list[int], loop: Loop | None
) -> None:
    assert find_loop(tokens) == loop


@pytest.mark.parametrize(
    ("positions_s", "times"),
    [
        pytest.param([0.6, 1.2, 1.9, 2.5, 3.1], 5, id="said five times"),
        pytest.param([1.0, 4.4, 7.8], 3, id="an announcement, three times"),
        pytest.param([5.3, 5.3, 5.3, 5.3, 5.4], 1, id="a loop from the start"),
        pytest.param([0.0, 0.7, 1.3, 2.0, 5.0, 5.3, 5.3], 4, id="said, then a jump, then a loop"),
        pytest.param([0.0, 0.7, 1.3, 1.3, 1.3], 3, id="said, then a loop"),
        pytest.param([3.0, 2.0, 1.0], 1, id="backwards"),
        pytest.param([2.0], 1, id="once"),
    ],
)
def test_what_lies_one_after_the_other_in_the_sound_was_said(positions_s: list[float], times: int) -> None:
    assert spoken_times(positions_s) == times


def test_too_much_is_many_tokens_and_many_letters() -> None:
    assert is_too_much([0] * 71, lambda _: 5, 10.0)
    assert not is_too_much([0] * 70, lambda _: 5, 10.0)
    assert not is_too_much([0] * 200, lambda _: 1, 10.0)  # a script with several tokens a letter
    assert is_too_much([0] * 300, lambda _: 1, 10.0)
