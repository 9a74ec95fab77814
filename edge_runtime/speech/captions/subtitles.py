"""Subtitle files: SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Iterable

from ..recognition.transcript import TranscriptEvent
from .cue import Cue
from .cue_stream import CueStream


class SrtWriter:
    """SRT has no escapes: players take `<i>` for a tag. Such characters become others that look alike."""

    head = ""

    def __init__(self) -> None:
        self._cues = CueStream()
        self._count = 0

    def take(self, event: TranscriptEvent) -> str:
        return self._written(self._cues.take(event))

    def finish(self) -> str:
        return self._written(self._cues.finish())

    def _written(self, cues: Iterable[Cue]) -> str:
        return "".join(map(self._entry, cues))

    def _entry(self, cue: Cue) -> str:
        self._count += 1
        lines = "\n".join(cue.lines).translate(_SRT_SIGNS)
        return f"{self._count}\n{srt_time(cue.start_s)} --> {srt_time(cue.end_s)}\n{lines}\n\n"


class VttWriter:
    """Source: https://www.w3.org/TR/webvtt1/#file-structure"""

    def __init__(self, *, gist: bool = False) -> None:
        """gist: the text is a rough translation; a note says so."""
        self.head = "WEBVTT\n\n" + ("NOTE a gist, translated by the recognizer itself\n\n" if gist else "")
        self._cues = CueStream()

    def take(self, event: TranscriptEvent) -> str:
        return "".join(map(_vtt_entry, self._cues.take(event)))

    def finish(self) -> str:
        return "".join(map(_vtt_entry, self._cues.finish()))


# "-->" may not stand in a cue; the escape of ">" takes care of that.
_VTT_SIGNS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SRT_SIGNS = str.maketrans({"<": "‹", ">": "›"})


def _vtt_entry(cue: Cue) -> str:
    lines = "\n".join(cue.lines).translate(_VTT_SIGNS)
    return f"{vtt_time(cue.start_s)} --> {vtt_time(cue.end_s)}\n{lines}\n\n"


def srt_time(time_s: float) -> str:
    """01:02:03,456. Hours take as many digits as they need."""
    return _time(time_s, ",")


def vtt_time(time_s: float) -> str:
    """01:02:03.456"""
    return _time(time_s, ".")


def _time(time_s: float, point: str) -> str:
    seconds, milliseconds = divmod(round(max(time_s, 0.0) * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
