"""Token bytes to text that may be shown: whole characters, no stop strings."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextAssembler:
    """Holds back what may still turn out to be half a character or the start of a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._inside_character = False
        self._stop = tuple(stop)
        self._held = ""
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Text that is now certain. Sets `stopped` once a stop string is complete."""
        if piece.isascii() and not self._inside_character:  # most are; this spares the decoder
            return self._release(piece.decode("ascii"))
        text = self._decoder.decode(piece)
        self._inside_character = bool(self._decoder.getstate()[0])
        return self._release(text)

    def finish(self) -> str:
        """What was held back, at the end: an unfinished character becomes U+FFFD."""
        text = self._release(self._decoder.decode(b"", final=True))
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        if not self._stop:
            return text
        if self.stopped:
            return ""
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            certain, self._held = self._held[: min(found)], ""
        else:
            keep = self._longest_start_of_stop()
            certain, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return certain

    def _longest_start_of_stop(self) -> int:
        """Length of the longest end of `_held` with which a stop string begins."""
        longest = min(len(self._held), max(map(len, self._stop)) - 1)
        for length in range(longest, 0, -1):
            end = self._held[-length:]
            if any(stop.startswith(end) for stop in self._stop):
                return length
        return 0
