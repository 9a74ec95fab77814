"""Subtitles from a stream of words: broken at pauses and ends of sentences, even in length."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ...values.display_text import text_columns
from ..recognition.transcript import EventKind, TranscriptEvent, TranscriptWord
from .cue import LINE_COLUMNS, LONGEST_S, Cue, break_lines
from .timed_words import timed_words

# Our choices.
_PAUSE_S = 0.7  # a longer one is always a border
_HOLD_S = 12.0  # so much is waited for before a phrase that does not end is broken
_HOLD_WORDS = 120
_SHORTEST_S = 1.0
_COLUMNS_PER_S = 20.0  # the fastest that people read; a cue stays longer where there is time
_LINGER_S = 0.5  # into the silence after a phrase
_LEAST_S = 0.05  # for words whose times are all the same
# What a group costs, and what its end costs besides: nothing where a sentence ends, 1 in the middle of
# a clause. The beginning of a sentence behind the end of another costs 1, too.
_A_GROUP, _CLAUSE, _BREATH = 0.2, 0.1, 0.3
_BREATH_S = 0.25
_SENTENCE_ENDS, _CLAUSE_ENDS = ".?!…。？！", ",;:，；、：–—"


class CueStream:
    """Give it the events; it gives cues as soon as they are settled."""

    def __init__(self) -> None:
        self._words: list[TranscriptWord] = []  # of the phrase under way
        self._last_end_s, self._utterance = 0.0, 0
        self._quiet_until_s: float | None = (
            None  # behind the last word: beyond, somebody may speak, or no sound be
        )

    def take(self, event: TranscriptEvent) -> list[Cue]:
        """Those that this event has completed. Partials complete none, the end all."""
        cues: list[Cue] = []
        if event.kind is EventKind.FINAL:
            if event.utterance != self._utterance:
                cues += self.finish()
            self._utterance = event.utterance
            for word in timed_words(event):
                cues += self._push(word)
            self._quiet_until_s = event.quiet_until_s
        if event.kind is EventKind.END or event.ends_utterance:
            cues += self.finish()
        return cues

    def finish(self) -> list[Cue]:
        """What is left, when nothing more comes."""
        words, self._words = self._words, []
        return self._settle(broken(words), None)

    def _push(self, word: TranscriptWord) -> list[Cue]:
        cues: list[Cue] = []
        if self._words and word.start_s - self._words[-1].end_s >= _PAUSE_S:
            words, self._words = self._words, []
            cues = self._settle(broken(words), word.start_s)
        elif self._words and self._is_long(word):
            *groups, self._words = broken([*self._words, word])
            return self._settle(groups, self._words[0].start_s)
        self._words.append(word)
        return cues

    def _is_long(self, word: TranscriptWord) -> bool:
        return word.end_s - self._words[0].start_s > _HOLD_S or len(self._words) >= _HOLD_WORDS

    def _settle(self, groups: Sequence[Sequence[TranscriptWord]], next_s: float | None) -> list[Cue]:
        """Give the groups their times. next_s: when the word after them begins, if that is known."""
        if not groups:
            return []
        starts_s = [*(group[0].start_s for group in groups[1:]), next_s]
        return [self._cue(group, later_s) for group, later_s in zip(groups, starts_s, strict=True)]

    def _cue(self, words: Sequence[TranscriptWord], next_s: float | None) -> Cue:
        lines = break_lines([word.text for word in words]) or ("".join(w.text for w in words).strip(),)
        start_s = max(words[0].start_s, self._last_end_s)
        end_s = min(words[-1].end_s, start_s + LONGEST_S)
        wanted_s = max(_SHORTEST_S, sum(map(text_columns, lines)) / _COLUMNS_PER_S)
        free_s = next_s
        if free_s is None:
            free_s = end_s + _LINGER_S
            free_s = free_s if self._quiet_until_s is None else min(free_s, self._quiet_until_s)
        end_s = max(end_s, min(start_s + wanted_s, free_s, start_s + LONGEST_S), start_s + _LEAST_S)
        self._last_end_s = end_s
        return Cue(start_s, end_s, lines)


def broken(words: list[TranscriptWord]) -> list[list[TranscriptWord]]:
    """The words of one phrase in groups that each fit in a cue: few, even, ending where sentences do."""
    cheapest = [0.0] + [inf] * len(words)  # to show the first n
    starts = [0] * (len(words) + 1)  # of the last group, when n are shown
    for end in range(1, len(words) + 1):
        for start in range(end - 1, -1, -1):
            if start < end - 1 and not _fits(words[start:end]):
                break
            cost = cheapest[start] + _cost(words[start:end], words[end : end + 1])
            if cost < cheapest[end]:
                cheapest[end], starts[end] = cost, start
    groups, end = [], len(words)
    while end:
        groups.append(words[starts[end] : end])
        end = starts[end]
    return groups[::-1]


def _fits(words: Sequence[TranscriptWord]) -> bool:
    if words[-1].end_s - words[0].start_s > LONGEST_S:
        return False
    return break_lines([word.text for word in words]) is not None


def _cost(words: Sequence[TranscriptWord], following: Sequence[TranscriptWord]) -> float:
    empty = 1 - text_columns("".join(word.text for word in words)) / (2 * LINE_COLUMNS)
    end = _end_cost(words[-1], following[0]) if following else 0.0
    begins_another = end > 0 and any(_ends_with(word, _SENTENCE_ENDS) for word in words)
    return _A_GROUP + empty * empty + end + (1.0 if begins_another else 0.0)


def _end_cost(last: TranscriptWord, following: TranscriptWord) -> float:
    if _ends_with(last, _SENTENCE_ENDS):
        return 0.0
    if _ends_with(last, _CLAUSE_ENDS):
        return _CLAUSE
    return _BREATH if following.start_s - last.end_s >= _BREATH_S else 1.0


def _ends_with(word: TranscriptWord, characters: str) -> bool:
    return word.text.rstrip("\"')»”").endswith(tuple(characters))
