"""The forms a transcript can be written in."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from ..recognition.transcript import TranscriptEvent
from .json_lines import JsonLines
from .plain_text import PlainText
from .subtitles import SrtWriter, VttWriter


class CaptionFormat(str, Enum):
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    JSONL = "jsonl"

    @property
    def suffix(self) -> str:
        """Of a file's name."""
        return ".txt" if self is CaptionFormat.TEXT else f".{self.value}"


class CaptionWriter(Protocol):
    """Turns events into text, and writes nothing itself."""

    head: str  # comes first, also without any speech

    def take(self, event: TranscriptEvent) -> str:
        """What can be written now."""

    def finish(self) -> str:
        """What was held back, when nothing more comes. Again: nothing."""


def make_writer(
    form: CaptionFormat, *, words: bool = False, gist: bool = False, file: str | None = None
) -> CaptionWriter:
    """words: JSON lines carry each word's time and probability. gist: the text is a rough translation.
    file: the name of the recording, which JSON lines then carry.
    """
    if form is CaptionFormat.TEXT:
        return PlainText()
    if form is CaptionFormat.SRT:
        return SrtWriter()
    return VttWriter(gist=gist) if form is CaptionFormat.VTT else JsonLines(words=words, gist=gist, file=file)
