"""The keeper of a loaded model's pages: carries out a ResidencyLayout and reports on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...device.process_memory import mapped_bytes
from .first_pass import Position
from .layout import ResidencyLayout
from .mapping import FileRange, ModelMapping
from .pages import (
    Pages,
    expect_any_access,
    expect_random_access,
    lock,
    pages_can_be_released,
    read_in,
    release,
    unlock,
)
from .streamer import WeightStreamer

_READ_AHEAD_BYTES = 16 << 20


@dataclass(frozen=True)
class ResidencyFigures:
    ple_resident_bytes: int
    locked_bytes: int
    streamed_bytes: int  # read from the device since the beginning, on purpose


class ResidencyKeeper:
    """Belongs to one loaded model; close() before the model is freed.

    On a system without the calls (Windows, macOS) it does nothing, and `active` is False.
    """

    def __init__(self, layout: ResidencyLayout) -> None:
        self.layout = layout
        self.active = False
        self._mapping: ModelMapping | None = None
        self._locked: list[Pages] = []
        self._streamer: WeightStreamer | None = None

    def while_loading(self) -> None:
        """As soon as the files are mapped: what nobody will read in full can go at once."""
        mapping = self._find()
        if mapping is not None:
            for pages in self._pages(mapping, self.layout.ple):
                expect_random_access(pages)
                release(pages)

    def after_loading(self, position: Callable[[], Position] | None) -> None:
        """Let go of everything, then bring back what every token reads.

        position: see WeightStreamer; without it nothing is streamed ahead.
        """
        mapping = self._mapping = self._find()
        if mapping is None:
            return
        self.active = True
        for pages in mapping.all_pages():
            expect_random_access(pages)
            release(pages)
        if not self.layout.rows_at_random:
            for pages in self._pages(mapping, self.layout.ple):
                expect_any_access(pages)
        for pages in self._pages(mapping, self.layout.used):
            self._bring_back(pages)
            expect_any_access(pages)
            if self.layout.lock:
                self._lock(pages)
        for pages in self._pages(mapping, self.layout.ple_locked):
            self._bring_back(pages)
            self._lock(pages)
        if self.layout.streamed and position is not None:
            self._start_streaming(mapping, position)

    def _bring_back(self, pages: Pages) -> None:
        for part in pages.parts(_READ_AHEAD_BYTES):
            read_in(part, exactly=True)

    def _lock(self, pages: Pages) -> None:
        """As far as the system allows: RLIMIT_MEMLOCK is small for most users."""
        if lock(pages):
            self._locked.append(pages)

    def _start_streaming(self, mapping: ModelMapping, position: Callable[[], Position]) -> None:
        found = [mapping.pages(tensor.place) for tensor in self.layout.streamed]
        tensors = [pages for pages in found if pages]
        if tensors:
            self._streamer = WeightStreamer(mapping.files, tensors, self.layout.window_bytes, position)
            self._streamer.start()

    def trim_ple(self) -> None:
        """Empty the cache of per-layer embedding rows; each comes back with its next use."""
        if self._mapping is not None:
            for pages in self._pages(self._mapping, self.layout.ple):
                release(pages)

    def ple_resident_bytes(self) -> int:
        """Of the tables that are looked up by row: what is mapped in now. Takes milliseconds."""
        if self._mapping is None:
            return 0
        found = [
            mapped_bytes(pages.address, pages.address + pages.length_bytes)
            for pages in self._pages(self._mapping, (*self.layout.ple, *self.layout.ple_locked))
        ]
        return sum(size or 0 for size in found)

    def figures(self) -> ResidencyFigures:
        return ResidencyFigures(
            ple_resident_bytes=self.ple_resident_bytes(),
            locked_bytes=sum(pages.length_bytes for pages in self._locked),
            streamed_bytes=self._streamer.read_bytes if self._streamer else 0,
        )

    def close(self) -> None:
        if self._streamer is not None:
            self._streamer.close()
            self._streamer = None
        for pages in self._locked:
            unlock(pages)
        self._locked, self._mapping, self.active = [], None, False

    def _find(self) -> ModelMapping | None:
        if not pages_can_be_released():
            return None
        mapping = ModelMapping(self.layout.files)
        return mapping if mapping.found else None

    @staticmethod
    def _pages(mapping: ModelMapping, ranges: Iterable[FileRange]) -> list[Pages]:
        return [pages for place in ranges for pages in mapping.pages(place)]
