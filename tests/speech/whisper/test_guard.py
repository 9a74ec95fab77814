"""What counts as a loop, and what is too much for the time."""

from __future__ import annotations

import pytest

from edge_runtime.speech.whisper.loop_guard import is_too_much, loop_length


@pytest.mark.parametrize(
    ("tokens", "length"),
    [
        ([], 0),
        ([1, 2, 3], 0),
        ([1, 1, 1, 1], 0),  # "no, no, no, no" can be said
        ([1, 1, 1, 1, 1], 4),
        ([9, 1, 2, 1, 2, 1, 2], 4),
        ([9, 1, 2, 1, 2], 0),
        ([1, 2, 1, 2, 1, 2, 3], 0),  # it went on
        ([*range(12)] * 3, 24),
        ([*range(13)] * 3, 0),  # longer phrases are refrains
        ([1, 2, 1, 2, 1], 0),
    ],
)
def test_a_phrase_the_third_time_and_a_token_the_fifth_are_a_loop(tokens: list[int], length: int) -> None:
    assert loop_length(tokens) == length


def test_without_the_loop_the_phrase_stands_there_once() -> None:
    tokens = [7, 8, *[1, 2, 3] * 3]
    assert tokens[: -loop_length(tokens)] == [7, 8, 1, 2, 3]


def test_too_much_is_many_tokens_and_many_letters() -> None:
    assert is_too_much([0] * 71, lambda _: 5, 10.0)
    assert not is_too_much([0] * 70, lambda _: 5, 10.0)
    assert not is_too_much([0] * 200, lambda _: 1, 10.0)  # a script with several tokens a letter
    assert is_too_much([0] * 300, lambda _: 1, 10.0)
