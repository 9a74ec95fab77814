"""Weights that do not stay in memory: read ahead of their use, dropped right behind it.

A forward pass reads its weights in a cycle, and a system short of memory evicts what was
used longest ago: exactly what comes next. So every token would read everything again. Here
most of the weights stay, a known part of each layer does not, and one thread keeps the next
pieces of that part in memory while the layers before them compute. Nothing depends on its
timing but speed: a page that is not there yet is read by whoever touches it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..memory.streaming import BLOCK_BYTES
from .pages import Pages, expect_blocks, read_in, unmap_and_forget

_POLL_S = 0.001


@dataclass(frozen=True)
class Piece:
    pages: Pages
    needed_until: float  # in passes: 0.5 is half-way through the model


class WeightStreamer:
    """Cycles through `pieces` for as long as the model is open."""

    def __init__(
        self,
        files: Sequence[Path],
        pieces: Sequence[Piece],
        window_bytes: int,
        position: Callable[[], float],
    ) -> None:
        """position: how many passes the model has done, fractions included; any thread may ask."""
        self._descriptors = [os.open(path, os.O_RDONLY) for path in files]
        self._pieces = [
            Piece(part, piece.needed_until) for piece in pieces for part in piece.pages.parts(BLOCK_BYTES)
        ]
        self._window_bytes = max(window_bytes, 2 * BLOCK_BYTES)
        self._position = position
        self._held: deque[tuple[float, Pages]] = deque()  # when it may go, what
        self._held_bytes = 0
        self._next = 0  # of all pieces ever; its remainder is the index
        self.read_bytes = 0
        self._in_blocks = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-runtime-weights", daemon=True)

    def start(self) -> None:
        for piece in self._pieces:
            self._in_blocks = expect_blocks(piece.pages) and self._in_blocks
            self._forget(piece.pages)
        self._thread.start()

    def close(self) -> None:
        """Stop before the model is unmapped."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def _run(self) -> None:
        while not self._stop.is_set():
            position = self._position()
            self._release_used(position)
            needed_until, pages = self._upcoming()
            if needed_until <= position:  # too late: whoever needed it has read it
                self._next += 1
                self._forget(pages)
            elif self._held_bytes + pages.length_bytes <= self._window_bytes:
                self._next += 1
                self._read(needed_until, pages)
            else:
                self._stop.wait(_POLL_S)

    def _upcoming(self) -> tuple[float, Pages]:
        passes, index = divmod(self._next, len(self._pieces))
        piece = self._pieces[index]
        return passes + piece.needed_until, piece.pages

    def _release_used(self, position: float) -> None:
        while self._held and self._held[0][0] <= position:
            _, pages = self._held.popleft()
            self._held_bytes -= pages.length_bytes
            self._forget(pages)

    def _read(self, needed_until: float, pages: Pages) -> None:
        read_in(pages, exactly=not self._in_blocks)
        self.read_bytes += pages.length_bytes
        self._held.append((needed_until, pages))
        self._held_bytes += pages.length_bytes

    def _forget(self, pages: Pages) -> None:
        unmap_and_forget(pages, self._descriptors[pages.file_index])
