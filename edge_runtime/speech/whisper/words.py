"""Words with times, from tokens and their times.

A word begins with a space; what stands before and after without letters belongs to it, but not its
time: a comma is where the pause is. A language written without spaces is split wherever a token ends
with a character. Source of these rules and of the cut of long words: openai/whisper, whisper/timing.py
and split_to_word_tokens in whisper/tokenizer.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from statistics import median
from typing import NamedTuple

from ..recognition.recognizer import RecognizedWord
from .vocabulary import Vocabulary

_WITHOUT_SPACES = {"zh", "ja", "th", "lo", "my", "yue"}
_OPENING = "\"'“¿¡([{-「『（《"
_SENTENCE_ENDS = ".。!！?？"
# A word after a pause, or before one, is at most this many times as long as the one in the middle.
_LONGEST_TO_MEDIAN, _LONGEST_MEDIAN_S = 2.0, 0.7


class WordSpan(NamedTuple):
    """Tokens [first, end)."""

    text: str
    first: int
    end: int

    @property
    def has_letters(self) -> bool:
        return any(character.isalnum() for character in self.text)


def split_words(tokens: Sequence[int], vocabulary: Vocabulary, language: str) -> list[WordSpan]:
    """All tokens, in order. Bytes that are no UTF-8 become U+FFFD."""
    words: list[WordSpan] = []
    spaced = language not in _WITHOUT_SPACES
    for span in split_characters(tokens, vocabulary):
        if words and _belongs(span, words[-1], spaced):
            words[-1] = WordSpan(words[-1].text + span.text, words[-1].first, span.end)
        else:
            words.append(span)
    return words


def _belongs(span: WordSpan, previous: WordSpan, spaced: bool) -> bool:
    """Whether `span` goes on with the word before it."""
    if previous.text.strip() and all(character in _OPENING for character in previous.text.strip()):
        return True
    if span.text.startswith(" "):
        return False
    return spaced or (not span.has_letters and span.text.strip() not in _OPENING)


def split_characters(tokens: Sequence[int], vocabulary: Vocabulary) -> list[WordSpan]:
    """The smallest runs of tokens that end where a character ends."""
    spans, first, held = [], 0, b""
    for index, token in enumerate(tokens):
        held += vocabulary.text_bytes(token)
        if index + 1 == len(tokens) or not _ends_inside_character(held):
            spans.append(WordSpan(held.decode("utf-8", "replace"), first, index + 1))
            first, held = index + 1, b""
    return spans


def _ends_inside_character(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False


def time_words(
    words: Sequence[WordSpan],
    tokens: Sequence[int],
    logprobs: Sequence[float],
    times_s: Sequence[float],
    vocabulary: Vocabulary,
) -> tuple[RecognizedWord, ...]:
    """`times_s`: where each token begins, and at last where the last one ends."""
    timed = []
    for word in words:
        first, end = _spoken(word, tokens, vocabulary)
        chosen = logprobs[word.first : word.end]
        probability = math.exp(sum(chosen) / len(chosen))
        own = tuple(tokens[word.first : word.end])
        timed.append(RecognizedWord(word.text, times_s[first], times_s[end], probability, own))
    return tuple(_shorten(timed))


def _spoken(word: WordSpan, tokens: Sequence[int], vocabulary: Vocabulary) -> tuple[int, int]:
    """The tokens [first, end) of the word without punctuation around it."""
    letters = [n for n in range(word.first, word.end) if _is_spoken(vocabulary.text_bytes(tokens[n]))]
    return (letters[0], letters[-1] + 1) if letters else (word.first, word.end)


def _is_spoken(data: bytes) -> bool:
    """A part of a character counts: punctuation is seldom split."""
    return any(character.isalnum() for character in data.decode("utf-8", "replace").replace("\ufffd", "x"))


def _shorten(words: list[RecognizedWord]) -> list[RecognizedWord]:
    """A word at the edge of a pause has often been given the pause as well."""
    lengths_s = [word.end_s - word.start_s for word in words if word.end_s > word.start_s]
    if not lengths_s:
        return words
    longest_s = _LONGEST_TO_MEDIAN * min(_LONGEST_MEDIAN_S, median(lengths_s))
    for n, word in enumerate(words):
        if word.end_s - word.start_s <= longest_s:
            continue
        if n == 0 or words[n - 1].text[-1:] in _SENTENCE_ENDS:
            words[n] = replace(word, start_s=word.end_s - longest_s)
        elif n + 1 == len(words) or word.text[-1:] in _SENTENCE_ENDS:
            words[n] = replace(word, end_s=word.start_s + longest_s)
    return words


def spread_evenly(tokens: Sequence[int], vocabulary: Vocabulary, duration_s: float) -> list[float]:
    """Times as time_words wants them, for a model without alignment: each letter takes as long."""
    letters = list(accumulate((len(vocabulary.text_bytes(token)) for token in tokens), initial=0))
    return [duration_s * count / max(letters[-1], 1) for count in letters]
