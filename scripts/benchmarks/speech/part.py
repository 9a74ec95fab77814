"""The interface of one part of the speech measurement."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.bench.speech import SpeechClip
from edge_runtime.device.folders import cache_folder

from ..table import Row


class PartSkipped(Exception):
    """Something that it needs is not there; the reason."""


@dataclass(frozen=True)
class Settings:
    clips: Sequence[SpeechClip]
    model: str  # catalog name or folder
    folder: Path  # for what is made on the way
    quick: bool

    def of_language(self, language: str) -> list[SpeechClip]:
        return [clip for clip in self.clips if clip.language == language]

    def groups(self) -> list[list[SpeechClip]]:
        """By language; the quick way three of each."""
        languages = sorted({clip.language for clip in self.clips})
        return [self.of_language(language)[: 3 if self.quick else None] for language in languages]

    def subfolder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Part:
    name: str
    how: str  # what was done, for the report
    rows: list[Row]
    table: list[list[str]] = field(default_factory=list)  # heads first
    details: dict[str, Any] = field(default_factory=dict)
    origin: str = ""  # when and on which machine, if not those of the report

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Part:
        return cls(**{**found, "rows": [Row(**row) for row in found["rows"]]})


def reference_folder() -> Path:
    """What scripts/reference_speech.sh makes: faster-whisper, and Whisper base as CTranslate2 has it.

    Raises PartSkipped where it is not there.
    """
    named = os.environ.get("EDGE_RUNTIME_REFERENCE_SPEECH")
    folder = Path(named) if named else cache_folder() / "reference-speech"
    if not ((folder / "bin" / "python").exists() and (folder / "whisper-base" / "model.bin").exists()):
        raise PartSkipped(f"no faster-whisper in {folder}: scripts/reference_speech.sh makes it")
    return folder
