"""Does it hold more memory after an hour than at its beginning?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_runtime.audio import Samples
from edge_runtime.process_memory import process_memory

from ..table import Row
from .child import read_lines, transcribe
from .part import Part, Settings
from .sound import make_talk, read_samples, room, write_wav

HOW = (
    "An hour in ten equal parts: each the same minute of English clips, then five minutes of faint noise, so"
    " that an hour takes minutes. `edge-runtime transcribe --stream`, its anonymous memory read five times a"
    " second; growth is the highest value in the last part less the highest in the first."
)
_PARTS, _SPEECH_S, _QUIET_S = 10, 60.0, 300.0
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
    highest = _highest_mb(watch.seen, seconds)
    growth = highest[-1] - highest[0]
    rows = [
        Row(f"hour: growth over {seconds / 60:.0f} minutes", growth, "MB", most=_GROWTH_MB),
        Row("hour: sound lost", stats["dropped_s"], "s", most=0),
    ]
    details = {"highest_mb": highest, "wall_s": done.wall_s, "cpu_s": done.cpu_s, "stats": stats}
    table = [["part", *(str(n + 1) for n in range(_PARTS))], ["highest MB", *(f"{mb:.1f}" for mb in highest)]]
    return Part("hour", HOW, rows, table, details)


def _parts(speech: Samples, quiet_s: float) -> Iterator[Samples]:
    random = np.random.default_rng(11)
    for _ in range(_PARTS):
        yield speech
        yield room(quiet_s, random)


def _highest_mb(seen: list[tuple[float, int]], seconds: float) -> list[float]:
    """For each part; one that went by between two looks is taken for the one before it."""
    highest = [0.0] * _PARTS
    for position_s, size_bytes in seen:
        part = min(int(position_s / seconds * _PARTS), _PARTS - 1)
        highest[part] = max(highest[part], size_bytes / 1e6)
    for part in range(1, _PARTS):
        highest[part] = highest[part] or highest[part - 1]
    return highest
