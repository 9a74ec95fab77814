"""Subtitle files as another program reads them: the packages srt and webvtt-py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import srt  # type: ignore[import-not-found, import-untyped, unused-ignore]
import webvtt  # type: ignore[import-not-found, import-untyped, unused-ignore]


@dataclass(frozen=True)
class Subtitles:
    cues: list[tuple[float, float, str]]  # start and end in seconds, text
    faults: list[str]


def read_subtitles(path: Path) -> Subtitles:
    """What does not parse, cues that end before they begin, and any that begin before the last has ended."""
    try:
        cues = _read_srt(path) if path.suffix == ".srt" else _read_vtt(path)
    except (
        srt.SRTParseError,
        webvtt.errors.MalformedFileError,
        webvtt.errors.MalformedCaptionError,
    ) as error:
        return Subtitles([], [f"{path.name}: {error}"])
    faults = [f"{path.name}: {start_s} to {end_s}" for start_s, end_s, _ in cues if not start_s < end_s]
    faults += [
        f"{path.name}: {after[0]} before {before[1]}"
        for before, after in pairwise(cues)
        if after[0] < before[1]
    ]
    return Subtitles(cues, faults)


def _read_srt(path: Path) -> list[tuple[float, float, str]]:
    entries = srt.parse(path.read_text(encoding="utf-8"))
    return [(entry.start.total_seconds(), entry.end.total_seconds(), entry.content) for entry in entries]


def _read_vtt(path: Path) -> list[tuple[float, float, str]]:
    captions = webvtt.read(str(path)).captions
    return [(cue.start_in_seconds, cue.end_in_seconds, cue.text) for cue in captions]
