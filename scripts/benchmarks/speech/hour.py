"""Does it hold more memory after an hour than at its beginning?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from edge_runtime.device.process_memory import process_memory
from edge_runtime.speech.audio import Samples

from ..table import Row
from .child import read_lines, transcribe
from .part import Part, Settings
from .sound import make_talk, read_samples, room, write_wav

HOW = (
    "An hour in ten equal parts: each the same half minute of English clips, then faint noise, so that an "
    "hour takes minutes. `edge-runtime transcribe --stream`, its anonymous memory read five times a "
    "second. What it holds at rest is a part's lowest value: growth is the last part's less the second's. "
    "While it works it holds more, by what the pieces under way happen to need."
)
_PARTS, _SPEECH_S, _QUIET_S = 10, 30.0, 330.0
_QUICK_SPEECH_S, _QUICK_QUIET_S = 10.0, 20.0
_GROWTH_MB = 5.0
_TAIL_BYTES = 8192


class _Watch:
    """Anonymous memory beside how far the transcript has come."""

    def __init__(self, transcript: Path) -> None:
        self._transcript = transcript
        self.seen: list[tuple[float, int]] = []  # seconds of sound, bytes

    def __call__(self, pid: int) -> None:
        try:
            anonymous_bytes = process_memory(pid).anonymous_bytes
        except ProcessLookupError:
            return
        position_s = self._position_s()
        if position_s is not None and anonymous_bytes is not None:
            self.seen.append((position_s, anonymous_bytes))

    def _position_s(self) -> float | None:
        """Where the last event ended; None before the first."""
        try:
            with self._transcript.open("rb") as file:
                file.seek(max(self._transcript.stat().st_size - _TAIL_BYTES, 0))
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            return None
        return float(json.loads(lines[-1]).get("end_s", 0.0)) if lines else None


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("hour")
    speech_s, quiet_s = (_QUICK_SPEECH_S, _QUICK_QUIET_S) if settings.quick else (_SPEECH_S, _QUIET_S)
    make_talk(folder / "part.wav", settings.of_language("en"), speech_s)
    seconds = write_wav(folder / "hour.wav", _parts(read_samples(folder / "part.wav"), quiet_s))
    transcript = folder / "hour.jsonl"
    transcript.unlink(missing_ok=True)
    watch = _Watch(transcript)
    options = ("--stream", "--language", "en")
    done = transcribe([folder / "hour.wav"], folder, settings.model, *options, watch=watch)
    stats = read_lines(transcript)[-1]
    at_rest, highest = (_by_part(watch.seen, seconds, choose) for choose in (min, max))
    growth = at_rest[-1] - at_rest[1]
    rows = [
        Row(f"hour: growth over {seconds / 60:.0f} minutes", growth, "MB", most=_GROWTH_MB),
        Row("hour: sound lost", stats["dropped_s"], "s", most=0),
    ]
    details = {
        "at_rest_mb": at_rest,
        "highest_mb": highest,
        "wall_s": done.wall_s,
        "cpu_s": done.cpu_s,
        "stats": stats,
    }
    table = [
        ["part", *(str(n + 1) for n in range(_PARTS))],
        ["at rest, MB", *(f"{mb:.1f}" for mb in at_rest)],
        ["highest, MB", *(f"{mb:.1f}" for mb in highest)],
    ]
    return Part("hour", HOW, rows, table, details)


def _parts(speech: Samples, quiet_s: float) -> Iterator[Samples]:
    random = np.random.default_rng(11)
    for _ in range(_PARTS):
        yield speech
        yield room(quiet_s, random)


def _by_part(
    seen: list[tuple[float, int]], seconds: float, choose: Callable[[list[float]], float]
) -> list[float]:
    """MB for each part; one that went by between two looks is taken for the one before it."""
    chosen: list[float] = []
    for part in range(_PARTS):
        inside = [size / 1e6 for position_s, size in seen if int(position_s / seconds * _PARTS) == part]
        chosen.append(choose(inside) if inside else chosen[-1] if chosen else 0.0)
    return chosen
