"""The list of clips and of the words said in them: one JSON object a line."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import OptionInvalid
from ...speech.recognition.languages import parse_language
from ...values.files import expanded

_HINT = 'a line is {"path": "clip.wav", "language": "en", "text": "what is said in it"}'


@dataclass(frozen=True)
class SpeechClip:
    path: Path
    language: str  # a code such as "en"
    text: str


def default_manifest() -> Path:
    """What scripts/speech_clips.sh makes."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(cache) / "edge-runtime" / "speech" / "clips.jsonl"


def read_manifest(path: Path) -> list[SpeechClip]:
    """Relative paths in it count from its folder. Raises OptionInvalid, naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",
            "scripts/speech_clips.sh fetches clips on Debian and Ubuntu; manifest= names others",
        ) from error
    clips = [
        _read_line(line, f"{path}, line {number}", path.parent)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not clips:
        raise _invalid(f"{path} names no clip", _HINT)
    return clips


def _read_line(line: str, where: str, folder: Path) -> SpeechClip:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise _invalid(f"{where} is not JSON: {error}", _HINT) from error
    fields = [entry.get(name) if isinstance(entry, dict) else None for name in ("path", "language", "text")]
    path, language, text = (field if isinstance(field, str) else "" for field in fields)
    if not (path and language and text):
        raise _invalid(f"{where} lacks a path, language or text", _HINT)
    return SpeechClip(folder / path, parse_language(language), text)


def choose_clips(
    clips: Sequence[SpeechClip], languages: Iterable[str] = (), limit: int | None = None
) -> list[SpeechClip]:
    """Those of the languages (codes; none given: all), of each the first `limit`.

    Raises OptionInvalid for a language without a clip.
    """
    wanted = list(languages) or sorted({clip.language for clip in clips})
    counts = Counter[str]()
    chosen = []
    for clip in clips:
        if clip.language in wanted and (limit is None or counts[clip.language] < limit):
            counts[clip.language] += 1
            chosen.append(clip)
    if missing := [language for language in wanted if not counts[language]]:
        known = ", ".join(sorted({clip.language for clip in clips}))
        raise OptionInvalid(
            f"language: no clip is in {missing[0]!r}", hint=f"there are: {known}", option="language"
        )
    return chosen


def _invalid(message: str, hint: str) -> OptionInvalid:
    return OptionInvalid(message, hint=hint, option="manifest")
