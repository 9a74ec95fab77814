"""The outputs of a transcript: live captions, stdout, files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from ...speech.captions import CaptionFiles, CaptionFormat, CaptionWriter, JsonLines, json_line, make_writer
from ...speech.recognition.transcript import TranscriptEvent
from .live_captions import LiveCaptions, can_redraw
from .terminal import Screen


@dataclass(frozen=True)
class Writing:
    form: CaptionFormat  # of what is shown
    paths: Mapping[CaptionFormat, Path]
    shown: bool  # on stdout; as live captions, where that is a terminal and the form is text
    words: bool = False  # JSON lines: each with its times
    gist: bool = False  # a rough translation; the formats that can say so do
    force: bool = False
    file: str | None = None  # JSON lines: the recording's name, where several are written to one place


class CaptionOutput:
    """One transcript, shown and written at once. Leaving the `with` block completes both."""

    def __init__(self, screen: Screen, writing: Writing) -> None:
        """Raises OptionInvalid and StorageFull where a file cannot be made."""
        self._stdout: _Stdout | None = None
        self.live: LiveCaptions | None = None
        self.shows = writing.shown
        make = partial(make_writer, words=writing.words, gist=writing.gist, file=writing.file)
        self._stack = ExitStack()
        writers = {path: make(form) for form, path in writing.paths.items()}
        self._files = self._stack.enter_context(CaptionFiles(writers, force=writing.force))
        if writing.shown and writing.form is CaptionFormat.TEXT and can_redraw(screen.out):
            self.live = LiveCaptions(screen.out)
            self._stack.callback(self.live.close)
        elif writing.shown:
            self._stdout = _Stdout(screen, make(writing.form))
            self._stack.callback(self._stdout.close)

    def take(self, event: TranscriptEvent) -> None:
        self._files.take(event)
        if self.live is not None:
            self.live.take(event)
        if self._stdout is not None:
            self._stdout.take(event)

    def take_stats(self, stats: Mapping[str, Any]) -> None:
        """JSON lines end with them."""
        self._files.take_stats(stats)
        if self._stdout is not None:
            self._stdout.take_stats(stats)

    def discard_empty(self) -> None:
        """Something went wrong: files without a word are taken away."""
        self._files.discard_empty()

    def close(self) -> None:
        """Complete everything. Again: does nothing."""
        self._stack.close()

    def __enter__(self) -> CaptionOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Stdout:
    def __init__(self, screen: Screen, writer: CaptionWriter) -> None:
        self._out: TextIO = screen.out
        self._writer = writer
        self._write(writer.head)

    def take(self, event: TranscriptEvent) -> None:
        self._write(self._writer.take(event))

    def take_stats(self, stats: Mapping[str, Any]) -> None:
        if isinstance(self._writer, JsonLines):
            self._write(json_line(stats))

    def close(self) -> None:
        self._write(self._writer.finish())

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()
