"""Results of the speech benchmark, clip by clip and in total."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...speech.listening import ListenStats, Quantiles
from .manifest import SpeechClip
from .scoring import WordErrors

ALL = "all"


@dataclass(frozen=True)
class Heard:
    text: str
    errors: WordErrors
    loops: tuple[str, ...]
    cpu_s: float


@dataclass(frozen=True)
class ClipResult:
    clip: SpeechClip
    live: Heard
    whole: Heard
    stats: ListenStats  # of the live one

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.clip.path),
            "language": self.clip.language,
            "seconds": round(self.stats.heard_s, 3),
            "said": self.clip.text,
            "live": {"text": self.live.text, **_figures([self.live], self.stats.heard_s)},
            "whole": {"text": self.whole.text, **_figures([self.whole], self.stats.heard_s)},
            "stats": self.stats.as_json(),
        }


@dataclass(frozen=True)
class Summary:
    """Of the clips of one language, or of all."""

    language: str  # a code, or "all"
    results: tuple[ClipResult, ...]

    @property
    def seconds(self) -> float:
        return sum(result.stats.heard_s for result in self.results)

    @property
    def commit_latency_s(self) -> Quantiles:
        return _together(result.stats.commit_latency_s for result in self.results)

    @property
    def first_display_s(self) -> Quantiles:
        return _together(result.stats.first_display_s for result in self.results)

    @property
    def dropped_s(self) -> float:
        return sum(result.stats.dropped_s for result in self.results)

    @property
    def peak_bytes(self) -> int | None:
        """Resident, of the whole process; None off Linux."""
        peaks = [result.stats.peak_bytes for result in self.results]
        known = [peak for peak in peaks if peak is not None]
        return max(known, default=None)

    def as_json(self) -> dict[str, Any]:
        """Rates are shares, not per cent. Latencies are those of words."""
        return {
            "language": self.language,
            "clips": len(self.results),
            "seconds": round(self.seconds, 3),
            "live": _figures([result.live for result in self.results], self.seconds),
            "whole": _figures([result.whole for result in self.results], self.seconds),
            "commit_latency_s": self.commit_latency_s.as_json(),
            "first_display_s": self.first_display_s.as_json(),
            "peak_bytes": self.peak_bytes,
            "dropped_s": round(self.dropped_s, 3),
        }


def summarize(results: Sequence[ClipResult]) -> list[Summary]:
    """One for each language, in their order; where there are several, one of all, last."""
    languages = list(dict.fromkeys(result.clip.language for result in results))
    parts = [
        Summary(language, tuple(result for result in results if result.clip.language == language))
        for language in languages
    ]
    return parts if len(parts) == 1 else [*parts, Summary(ALL, tuple(results))]


def _figures(heard: Sequence[Heard], seconds: float) -> dict[str, Any]:
    errors = sum((one.errors for one in heard), WordErrors())
    rate, cpu_s = errors.rate, sum(one.cpu_s for one in heard)
    return {
        "word_error_rate": None if rate is None else round(rate, 5),
        "words": errors.said,
        "substituted": errors.substituted,
        "deleted": errors.deleted,
        "inserted": errors.inserted,
        "loops": [phrase for one in heard for phrase in one.loops],
        "cpu_s_per_audio_s": round(cpu_s / seconds, 4) if seconds else None,
    }


def _together(parts: Iterator[Quantiles]) -> Quantiles:
    whole = Quantiles()
    for part in parts:
        whole.add_all(part)
    return whole
