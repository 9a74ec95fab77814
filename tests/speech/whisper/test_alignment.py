"""Token times from attention, and words from tokens."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.speech.whisper.alignment import _first_positions, _median, token_times
from edge_runtime.speech.whisper.vocabulary import Vocabulary
from edge_runtime.speech.whisper.words import (
    WordSpan,
    split_characters,
    split_words,
    spread_evenly,
    time_words,
)


def attention(centres: list[int], positions: int, heads: int = 3) -> NDArray[np.float32]:
    """(heads, tokens, positions) every head looks around each token's position, and a little elsewhere."""
    rng = np.random.default_rng(5)
    distance = np.arange(positions)[None, :] - np.array(centres)[:, None]
    weights = np.exp(-((distance / 4.0) ** 2))[None] + 0.02 * rng.random((heads, len(centres), positions))
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)


def test_tokens_are_heard_where_the_heads_look() -> None:
    centres = [10, 40, 70, 110, 150]
    times_s = token_times(attention(centres, 200), duration_s=4.0)
    # the path goes over to the next token about halfway between two places
    assert times_s[0] == 0
    for start_s, before, here in zip(times_s[1:], centres, centres[1:], strict=False):
        assert before / 50 < start_s < here / 50
    assert (np.diff(times_s) > 0).all()


def test_attention_after_the_sound_s_end_does_not_count() -> None:
    weights = attention([10, 40, 70], 500)
    weights[:, 2, 300:] = 0.3  # the silence behind
    assert token_times(weights, duration_s=2.0).max() <= 2.0


def test_no_token_and_one_token() -> None:
    assert token_times(np.zeros((2, 0, 50), np.float32), 1.0).tolist() == []
    assert token_times(attention([20], 50), 1.0).tolist() == [0.0]
    assert token_times(attention([2, 3], 4), 0.01).tolist() == [0.0, 0.0]


def slow_path(weights: NDArray[np.float32]) -> list[int]:
    """Dynamic time warping cell by cell."""
    tokens, positions = weights.shape
    cost = np.full((tokens + 1, positions + 1), np.inf)
    cost[0, 0] = 0
    for t in range(tokens):
        for p in range(positions):
            cost[t + 1, p + 1] = min(cost[t, p], cost[t, p + 1], cost[t + 1, p]) - float(weights[t, p])
    first, t, p = [0] * tokens, tokens - 1, positions - 1
    while t >= 0:
        first[t] = p
        ways = {(t - 1, p - 1): cost[t, p], (t - 1, p): cost[t, p + 1], (t, p - 1): cost[t + 1, p]}
        t, p = min(ways, key=lambda cell: ways[cell])
    return first


@pytest.mark.parametrize(("tokens", "positions"), [(1, 1), (1, 9), (7, 1), (5, 40), (40, 40), (23, 11)])
def test_the_path_is_the_best_one(rng: np.random.Generator, tokens: int, positions: int) -> None:
    for _ in range(5):
        weights = rng.standard_normal((tokens, positions)).astype(np.float32)
        assert _first_positions(weights).tolist() == slow_path(weights)


def test_the_median_is_the_median(rng: np.random.Generator) -> None:
    values = rng.standard_normal((3, 30)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (3, 3)), mode="reflect")
    slow = [np.median(padded[:, n : n + 7], axis=1) for n in range(30)]
    np.testing.assert_array_equal(_median(values), np.stack(slow, axis=1))


# The bytes of 你 and 好 in GPT-2's alphabet; U+1F600 in two tokens.
VOCABULARY = Vocabulary(
    [text.replace(" ", "Ġ") for text in (" Hello", ",", " wor", "ld", ".", ' "', "So", '"')]
    + ["ä½ł", "å¥½", "ãĢĤ", "ðŁ", "ĺĢ", "Ġit", "'s", "Ġ-", "-", "known"]
)


def texts(tokens: list[int], language: str = "en") -> list[str]:
    return [span.text for span in split_words(tokens, VOCABULARY, language)]


def test_words_begin_with_a_space_and_keep_their_punctuation() -> None:
    assert texts([0, 1, 2, 3, 4]) == [" Hello,", " world."]
    assert texts([13, 14, 2, 16, 17]) == [" it's", " wor-known"]
    assert texts([5, 6, 1, 7, 2, 3]) == [' "So,"', " world"]
    assert texts([]) == []


def test_a_language_without_spaces_is_split_at_characters() -> None:
    assert texts([8, 9, 10, 8], "zh") == ["你", "好。", "你"]
    assert texts([8, 9, 10, 8], "en") == ["你好。你"]


def test_a_character_in_two_tokens_stays_whole() -> None:
    assert split_characters([11, 12, 0], VOCABULARY) == [
        WordSpan("\U0001f600", 0, 2),
        WordSpan(" Hello", 2, 3),
    ]
    assert [span.text for span in split_characters([0, 11], VOCABULARY)] == [" Hello", "\ufffd"]
    assert [span.text for span in split_characters([12, 0], VOCABULARY)] == ["\ufffd\ufffd", " Hello"]


def test_words_get_times_without_the_pause_that_punctuation_stands_for() -> None:
    tokens = [0, 1, 2, 3, 4]
    words = split_words(tokens, VOCABULARY, "en")
    timed = time_words(
        words, tokens, [-0.5, -0.1, 0.0, -0.2, -9.0], [0.2, 0.6, 1.4, 1.6, 1.9, 2.4], VOCABULARY
    )
    assert [(word.text, word.start_s, word.end_s, word.tokens) for word in timed] == [
        (" Hello,", 0.2, 0.6, (0, 1)),
        (" world.", 1.4, 1.9, (2, 3, 4)),
    ]
    assert timed[0].probability == pytest.approx(np.exp(-0.3))


def test_a_word_beside_a_pause_is_not_given_the_pause() -> None:
    tokens = [0, 2, 4, 2, 2, 2]  # Hello wor. wor wor wor
    times_s = [0.0, 3.0, 3.4, 3.5, 6.4, 6.8, 9.8]
    words = time_words(split_words(tokens, VOCABULARY, "en"), tokens, [0.0] * 6, times_s, VOCABULARY)
    assert [(word.start_s, word.end_s) for word in words] == [
        (pytest.approx(1.6), 3.0),  # twice the 0.7 s that a middling word has at most
        (3.0, 3.4),
        (pytest.approx(5.0), 6.4),
        (6.4, 6.8),
        (6.8, pytest.approx(8.2)),
    ]


def test_without_attention_letters_share_the_time() -> None:
    assert spread_evenly([0, 1, 6], VOCABULARY, 9.0) == pytest.approx([0.0, 6.0, 7.0, 9.0])
    assert spread_evenly([], VOCABULARY, 9.0) == [0.0]
