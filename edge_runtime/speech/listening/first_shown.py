"""Since when each word of an utterance has been on the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .agreement import plain

_MOST_WORDS = 2_000  # an utterance without a pause may be long; after so many they are forgotten


class FirstShown:
    """A word is told from its likes by counting them: the second "the" of an utterance is one word."""

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
