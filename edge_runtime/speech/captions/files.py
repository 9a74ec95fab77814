"""Transcript files that grow during speech: final words are on disk at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import OptionInvalid
from ...values.files import writing_to
from ...values.output_file import cannot_write, check_output
from ..recognition.transcript import TranscriptEvent
from .formats import CaptionWriter
from .json_lines import JsonLines, json_line


def check_paths(paths: Iterable[Path], *, force: bool) -> None:
    """Raises OptionInvalid for two of the same name, and for one that is there already, without `force`."""
    seen: set[Path] = set()
    for path in paths:
        if path in seen:
            raise _refused(path, "would be written twice", "give each recording another name, or folder")
        seen.add(path)
        check_output(path, force)


def _refused(path: Path, problem: str, hint: str) -> OptionInvalid:
    return OptionInvalid(f"{path} {problem}", hint=hint, option="output", value=str(path))


class CaptionFiles:
    """Several files of one transcript, written directly: half of it is better than none.

    Leaving the `with` block, in whatever way, completes what was under way.
    """

    def __init__(self, writers: Mapping[Path, CaptionWriter], *, force: bool = False) -> None:
        """Makes the files, and folders that are missing. Raises OptionInvalid and StorageFull."""
        check_paths(writers, force=force)
        self._files: list[_CaptionFile] = []
        self._has_text = False
        with ExitStack() as on_error:
            on_error.push(self.__exit__)
            for path, writer in writers.items():
                self._files.append(_CaptionFile(path, writer, force=force))
            on_error.pop_all()

    def take(self, event: TranscriptEvent) -> None:
        """Raises StorageFull where the disk is; what did fit stays."""
        self._has_text = self._has_text or bool(event.text)
        for file in self._files:
            file.write(file.writer.take(event))

    def take_stats(self, stats: Mapping[str, Any]) -> None:
        """The figures of a live run, for programs: JSON lines end with them."""
        for file in self._files:
            if isinstance(file.writer, JsonLines):
                file.write(json_line(stats))

    def discard_empty(self) -> None:
        """Close and remove the files if nothing was said: they would keep the next try from writing."""
        if not self._has_text:
            files = self._files
            self.close()
            for file in files:
                file.path.unlink(missing_ok=True)

    def close(self) -> None:
        files, self._files = self._files, []
        with ExitStack() as stack:  # one that cannot be written keeps no other from being closed
            for file in files:
                stack.callback(file.close)

    def __enter__(self) -> CaptionFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _CaptionFile:
    def __init__(self, path: Path, writer: CaptionWriter, *, force: bool) -> None:
        self.path, self.writer = path, writer
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            check_output(path, force)  # again: opening a pipe would wait for its reader
            self._file = path.open("w" if force else "x", encoding="utf-8", errors="replace", newline="\n")
        self.write(writer.head)

    def write(self, text: str) -> None:
        if text:
            with _writing(self.path):
                self._file.write(text)
                self._file.flush()

    def close(self) -> None:
        try:
            self.write(self.writer.finish())
        finally:
            with suppress(OSError):  # said by write(); closing would try the rest once more
                self._file.close()


def _writing(path: Path) -> AbstractContextManager[None]:
    hint = f"what was transcribed until now is in {path}; free some space, or write to another disk"
    return writing_to(path.absolute().parent, lambda error: cannot_write(path, error), hint=hint)
