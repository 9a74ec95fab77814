"""Transcript formats: text, SRT, WebVTT, JSON lines; several at once.

with CaptionFiles({Path("talk.srt"): make_writer(CaptionFormat.SRT)}) as files:
    for event in events:
        files.take(event)
"""

from __future__ import annotations

from .cue import Cue
from .cue_stream import CueStream
from .files import CaptionFiles, check_paths
from .formats import CaptionFormat, CaptionWriter, make_writer
from .json_lines import JsonLines, json_line
from .plain_text import PlainText, TextJoiner
from .subtitles import SrtWriter, VttWriter

__all__ = [
    "CaptionFiles",
    "CaptionFormat",
    "CaptionWriter",
    "Cue",
    "CueStream",
    "JsonLines",
    "PlainText",
    "SrtWriter",
    "TextJoiner",
    "VttWriter",
    "check_paths",
    "json_line",
    "make_writer",
]
