"""Transcript events made from recognized words: positions in the stream, order, and delays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..recognition.recognizer import RecognizedWord
from ..recognition.transcript import EventKind, TranscriptEvent, TranscriptWord
from .agreement import plain
from .stats import ListenStats

_SEAM_S = 0.3  # a word that ends and one that begins so close to a cut may be one word, recognized twice
_MOST_WORDS = 2_000  # an utterance without a pause may be long; after so many they are forgotten

Timed = tuple[TranscriptWord, ...]


class Place(NamedTuple):
    """The segment that words belong to."""

    start_s: float  # of the segment that their times count from
    language: str
    cut: bool = False  # the segment begins where the one before was cut


class FirstShown:
    """The time at which each word of an utterance was first on the screen.

    Equal words are counted: the second "the" of an utterance is a word of its own.
    """

    def __init__(self) -> None:
        self._since_s: dict[tuple[str, int], float] = {}
        self._final = Counter[str]()

    def show(self, texts: Iterable[str], now_s: float) -> None:
        """They follow the finals, in a partial."""
        counts = self._final.copy()
        for text in map(plain, texts):
            counts[text] += 1
            self._since_s.setdefault((text, counts[text]), now_s)

    def finish(self, text: str, now_s: float) -> float:
        """The next word is final: since when it was shown."""
        text = plain(text)
        self._final[text] += 1
        since_s = self._since_s.get((text, self._final[text]), now_s)
        if len(self._since_s) > _MOST_WORDS:
            self.clear()
        return since_s

    def clear(self) -> None:
        """A new utterance begins."""
        self._since_s.clear()
        self._final.clear()


class EventWriter:
    """Finals never overlap: a word begins no earlier than the one before it ended."""

    def __init__(self, stats: ListenStats, now_s: Callable[[], float] | None) -> None:
        """`now_s`: the time in the stream; None: not a live stream, so that no delay is measured."""
        self._stats, self._now_s = stats, now_s
        self._utterance = 0
        self._utterance_open = False  # it has a final
        self._final_end_s = 0.0  # where the last final word ended
        self._last_word = ""
        self._partial_text = ""
        self._shown = FirstShown()

    def final(
        self,
        words: Sequence[RecognizedWord],
        place: Place,
        *,
        ends: bool = False,
        quiet_until_s: float | None = None,
    ) -> list[TranscriptEvent]:
        """Words that will not change any more. Without words: an event only to end an utterance."""
        timed = self._timed(words, place)
        if timed or (ends and self._utterance_open):
            events = [replace(self._final(timed, place, ends), quiet_until_s=quiet_until_s)]
        else:
            events = self._partial((), place)
        if ends:
            self._end_utterance()
        return events

    def translation(self, text: str, place: Place, end_s: float, *, ends: bool) -> list[TranscriptEvent]:
        """A final without words, from place.start_s to end_s."""
        events: list[TranscriptEvent] = []
        if text or (ends and self._utterance_open):
            latency_s = self._now_s() - end_s if self._now_s else None
            events.append(
                self._event(
                    EventKind.FINAL, place.start_s, end_s, text, place, ends=ends, latency_s=latency_s
                )
            )
        self._utterance_open = True
        if ends:
            self._end_utterance()
        return events

    def partial(self, words: Sequence[RecognizedWord], place: Place) -> list[TranscriptEvent]:
        """The words that follow the finals for now; no event where the last partial had the same text."""
        return self._partial(self._timed(words, place), place)

    def end(self, end_s: float) -> TranscriptEvent:
        return TranscriptEvent(EventKind.END, 0.0, end_s)

    def _final(self, words: Timed, place: Place, ends: bool) -> TranscriptEvent:
        latency_s = self._measure(words)
        if words:
            self._final_end_s, self._last_word = words[-1].end_s, plain(words[-1].text)
        self._partial_text, self._utterance_open = "", True
        start_s = words[0].start_s if words else self._final_end_s
        return self._event(
            EventKind.FINAL,
            start_s,
            self._final_end_s,
            _text(words),
            place,
            words,
            ends=ends,
            latency_s=latency_s,
        )

    def _partial(self, words: Timed, place: Place) -> list[TranscriptEvent]:
        text = _text(words)
        if text == self._partial_text:
            return []
        self._partial_text = text
        if self._now_s:
            self._shown.show((word.text for word in words), self._now_s())
        start_s, end_s = (
            (words[0].start_s, words[-1].end_s) if words else (self._final_end_s, self._final_end_s)
        )
        return [self._event(EventKind.PARTIAL, start_s, end_s, text, place, words)]

    def _measure(self, words: Timed) -> float | None:
        """Seconds from the end of the last word to now; None without words or outside live streams."""
        self._stats.words += len(words)
        if not words or not self._now_s:
            return None
        now_s = self._now_s()
        for word in words:
            self._stats.commit_latency_s.add(now_s - word.end_s)
            self._stats.first_display_s.add(self._shown.finish(word.text, now_s) - word.end_s)
        return now_s - words[-1].end_s

    def _event(
        self,
        kind: EventKind,
        start_s: float,
        end_s: float,
        text: str,
        place: Place,
        words: Timed = (),
        *,
        ends: bool = False,
        latency_s: float | None = None,
    ) -> TranscriptEvent:
        return TranscriptEvent(
            kind,
            start_s,
            end_s,
            text,
            language=place.language,
            words=words,
            utterance=self._utterance,
            ends_utterance=ends,
            commit_latency_s=latency_s,
        )

    def _end_utterance(self) -> None:
        self._shown.clear()
        if self._utterance_open:
            self._utterance += 1
        self._utterance_open = False

    def _timed(self, words: Sequence[RecognizedWord], place: Place) -> Timed:
        if words and place.cut and self._is_repeated(words[0], place):
            words = words[1:]
        timed, before_s = [], self._final_end_s
        for word in words:
            start_s = max(before_s, place.start_s + word.start_s)
            before_s = max(start_s, place.start_s + word.end_s)
            timed.append(TranscriptWord(word.text, start_s, before_s, word.probability))
        return tuple(timed)

    def _is_repeated(self, first: RecognizedWord, place: Place) -> bool:
        """Whether it is the last word before the cut once more, at the same place."""
        start_s = place.start_s + first.start_s
        near = start_s - self._final_end_s < _SEAM_S and abs(start_s - place.start_s) < _SEAM_S
        return near and bool(self._last_word) and plain(first.text) == self._last_word


def _text(words: Timed) -> str:
    return "".join(word.text for word in words).strip()
