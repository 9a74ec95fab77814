"""Stable words of a growing transcript: those that two guesses in a row agree on.

LocalAgreement-2. Source: Liu, Spanakis and Niehues, Low-Latency Sequence-to-Sequence Speech
Recognition and Translation by Partial Hypothesis Selection, 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..recognition.recognizer import RecognizedWord

_PASSES = 2
# With so much sound after a word, another pass seldom changes it; where passes go on changing what
# follows, a word need not wait for them.
_SETTLED_S = 2.5


def plain(text: str) -> str:
    """A word as it is compared: without case, space and punctuation."""
    return "".join(character for character in text.casefold() if character.isalnum())


class Guess(NamedTuple):
    """Words that may still change."""

    words: tuple[RecognizedWord, ...] = ()
    passes: tuple[int, ...] = ()  # for each word, how many passes in a row had it and those before it


def compare(before: Guess, now: tuple[RecognizedWord, ...]) -> Guess:
    """`now` with its passes: one more for as many words at its start as those of `before`."""
    same = [plain(old.text) == plain(new.text) for old, new in zip(before.words, now, strict=False)]
    agreed = (*same, False).index(False)
    return Guess(now, (*(count + 1 for count in before.passes[:agreed]), *(1 for _ in now[agreed:])))


def certain_words(guess: Guess, sound_s: float) -> int:
    """How many words at its start will not change any more; `sound_s`: the length of the sound so far.

    The last word never counts: it may be the beginning of a longer one, and only the
    next word shows whether a full stop follows it.
    """
    pairs = zip(guess.words[:-1], guess.passes, strict=False)
    certain = (passes >= _PASSES or word.end_s <= sound_s - _SETTLED_S for word, passes in pairs)
    return (*certain, False).index(False)


def follow(words: Sequence[RecognizedWord], given: Sequence[RecognizedWord]) -> tuple[RecognizedWord, ...]:
    """The words after those that were given as prefix.

    Where a given word goes on ("inter", "international"), the rest is a word of its own, without a
    space; punctuation alone is left out, as it would stand behind what has been said already.
    """
    skipped, seen, text = len(tokens_of(given)), 0, ""
    for index, word in enumerate(words):
        if seen >= skipped:
            return tuple(words[index:])
        seen, text = seen + len(word.tokens), text + word.text
        if seen > skipped:
            rest = text.removeprefix("".join(word.text for word in given))
            kept = bool(plain(rest)) and rest != text
            own = replace(word, text=rest, tokens=word.tokens[skipped - seen :])
            return (*([own] if kept else []), *words[index + 1 :])
    return ()


def tokens_of(words: Sequence[RecognizedWord]) -> tuple[int, ...]:
    return tuple(token for word in words for token in word.tokens)
