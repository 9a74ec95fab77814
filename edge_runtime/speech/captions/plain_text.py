"""The transcript as text: an utterance a line."""

from __future__ import annotations

from ..recognition.transcript import EventKind, TranscriptEvent
from .timed_words import joined_text


class TextJoiner:
    """What each final adds to the text, spaces and line ends included."""

    def __init__(self) -> None:
        self._utterance: int | None = None  # whose line is open

    def take(self, event: TranscriptEvent) -> str:
        """Joined, everything it returned is the text; "" for what adds nothing."""
        if event.kind is not EventKind.FINAL:
            return self.finish() if event.kind is EventKind.END else ""
        added = ""
        if event.utterance != self._utterance:
            added = self.finish()
        if event.text:
            text = " ".join(joined_text(event).split())
            glued = self._utterance is None or not joined_text(event)[:1].isspace()
            added += text if glued else f" {text}"
            self._utterance = event.utterance
        return added + self.finish() if event.ends_utterance else added

    def finish(self) -> str:
        """The end of the line, where one is open."""
        was_open, self._utterance = self._utterance is not None, None
        return "\n" if was_open else ""


class PlainText:
    head = ""

    def __init__(self) -> None:
        self._joiner = TextJoiner()

    def take(self, event: TranscriptEvent) -> str:
        return self._joiner.take(event)

    def finish(self) -> str:
        return self._joiner.finish()
