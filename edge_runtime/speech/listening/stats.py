"""Statistics of a live stream: the delay of each word, processor time, memory."""

from __future__ import annotations

from typing import Any

import numpy as np

_BIN_S, _BINS = 0.01, 6_000  # a minute; anything later counts as a minute


class Quantiles:
    """Of any number of delays, in the memory of a histogram; exact to 10 ms."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, seconds: float) -> None:
        """Less than nothing counts as nothing."""
        self._counts[min(max(round(seconds / _BIN_S), 0), _BINS - 1)] += 1

    def add_all(self, others: Quantiles) -> None:
        self._counts += others._counts

    @property
    def count(self) -> int:
        return int(self._counts.sum())

    def at(self, share: float) -> float | None:
        """The least value that so many are not above; None when there are none."""
        if not self.count:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), share * self.count))
        return round(place * _BIN_S, 3)

    @property
    def p50(self) -> float | None:
        return self.at(0.5)

    @property
    def p90(self) -> float | None:
        return self.at(0.9)

    @property
    def p95(self) -> float | None:
        return self.at(0.95)

    def as_json(self) -> dict[str, float | None]:
        return {"p50": self.p50, "p90": self.p90, "p95": self.p95}


class ListenStats:
    """Filled while a SpeechStream of listen() is iterated; complete after END."""

    def __init__(self) -> None:
        self.heard_s = 0.0  # sound, silence included
        self.dropped_s = 0.0  # lost before it came here: the source says so
        self.cpu_s = 0.0  # of the whole process, since the iteration began
        self.peak_bytes: int | None = None  # resident, of the whole process; None off Linux
        self.decodes = 0  # pieces of sound that the recognizer was given
        self.partials_skipped = 0  # passes that were left out because the machine was behind
        self.longest_lag_s = 0.0  # sound that waited
        self.words = 0
        self.commit_latency_s = Quantiles()  # a word: from its end, by the recognizer's times, to its final
        self.first_display_s = Quantiles()  # to the first event, partial or final, that has it

    @property
    def cpu_s_per_audio_s(self) -> float | None:
        return self.cpu_s / self.heard_s if self.heard_s else None

    def as_json(self) -> dict[str, Any]:
        cost = self.cpu_s_per_audio_s
        return {
            "type": "stats",
            "cpu_s_per_audio_s": None if cost is None else round(cost, 4),
            "commit_latency_s": self.commit_latency_s.as_json(),
            "first_display_s": self.first_display_s.as_json(),
            "peak_bytes": self.peak_bytes,
            "dropped_s": round(self.dropped_s, 3),
            "heard_s": round(self.heard_s, 3),
            "words": self.words,
            "decodes": self.decodes,
            "partials_skipped": self.partials_skipped,
            "longest_lag_s": round(self.longest_lag_s, 3),
        }
