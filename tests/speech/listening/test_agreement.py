"""Agreement of two passes: the words that count as certain."""

from __future__ import annotations

import pytest

from edge_runtime.speech.listening.agreement import Guess, certain_words, compare, follow, plain, tokens_of
from edge_runtime.speech.recognition.recognizer import RecognizedWord

_TOKENS: dict[str, int] = {}


def words(text: str) -> tuple[RecognizedWord, ...]:
    """One token for each word, and one for each of its punctuation marks."""
    made = []
    for n, word in enumerate(text.split()):
        bare = word.rstrip(".,")
        tokens = tuple(_TOKENS.setdefault(part, len(_TOKENS)) for part in (bare, *word[len(bare) :]))
        made.append(RecognizedWord(f" {word}", float(n), n + 1.0, 0.9, tokens))
    return tuple(made)


def certain(*texts: str, sound_s: float = 0.0) -> str:
    """What is certain after these passes. Words take a second each."""
    guess = Guess()
    for text in texts:
        guess = compare(guess, words(text))
    return " ".join(word.text.strip() for word in guess.words[: certain_words(guess, sound_s)])


def test_a_word_is_certain_when_two_looks_in_a_row_have_it() -> None:
    assert certain("the cat") == ""
    assert certain("the cat", "the cat sat on") == "the cat"


def test_the_last_word_is_never_certain() -> None:
    assert certain("the cat", "the cat") == "the"
    assert certain("inter", "inter") == ""


def test_nothing_after_a_difference_is_certain() -> None:
    assert certain("a fat cat sat", "the fat cat sat on") == ""
    assert certain("the fat cat sat", "the fast cat sat on") == "the"


def test_agreement_has_to_be_without_interruption() -> None:
    assert certain("the cat", "a cat", "the cat sat") == ""


def test_case_and_punctuation_make_no_difference_and_the_newer_ones_count() -> None:
    assert certain("Go home.", "go home, Bill and") == "go home,"


def test_a_word_long_ago_is_certain_whatever_follows() -> None:
    passes = ["the cat sat on a", "the cat sat on the"]
    assert certain(passes[0]) == ""
    assert certain(passes[0], sound_s=4.0) == "the"
    assert certain(*passes, sound_s=4.0) == "the cat sat on"


@pytest.mark.parametrize(
    ("text", "given", "rest"),
    [
        ("the cat sat", "", "the cat sat"),
        ("the cat sat", "the cat", "sat"),
        ("the cat", "the cat", ""),
        ("the cat, sat", "the cat", "sat"),
        ("the cat sat", "the cat sat on it", ""),
    ],
)
def test_what_follows_the_words_that_were_given(text: str, given: str, rest: str) -> None:
    assert follow(words(text), words(given)) == words(text)[len(text.split()) - len(rest.split()) :]


def test_the_rest_of_a_longer_word_is_kept_without_a_space() -> None:
    given = (RecognizedWord(" inter", 0.0, 1.0, 0.9, (1,)),)
    longer = (RecognizedWord(" international", 0.0, 2.0, 0.9, (1, 2)),)
    [rest] = follow(longer, given)
    assert (rest.text, rest.tokens) == ("national", (2,))


def test_tokens_are_those_of_all_words() -> None:
    assert tokens_of(words("go home.")) == tuple(_TOKENS[part] for part in ("go", "home", "."))


def test_words_are_compared_by_their_letters_and_digits() -> None:
    assert plain(" «Straße», ") == "strasse"
    assert plain(" ...") == ""
