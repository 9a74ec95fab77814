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

from ..streaming import BLOCK_BYTES
from .first_pass import FirstPass, Position
from .pages import Pages, expect_blocks, read_in, unmap_and_forget

_POLL_S = 0.001


@dataclass(frozen=True)
class _Piece:
    pages: Pages
    used_at: int  # nodes that a pass has done when it has used it


class WeightStreamer:
    """Cycles through the tensors for as long as the model is open."""

    def __init__(
        self,
        files: Sequence[Path],
        tensors: Sequence[Sequence[Pages]],
        window_bytes: int,
        position: Callable[[], Position],
    ) -> None:
        """tensors: their pages, about in the order of use. position: any thread may ask."""
        self._descriptors = [os.open(path, os.O_RDONLY) for path in files]
        self._tensors = [
            [part for pages in tensor for part in pages.parts(BLOCK_BYTES)] for tensor in tensors
        ]
        self._pieces: list[_Piece] = []
        self._window_bytes = max(window_bytes, 2 * BLOCK_BYTES)
        self._position = position
        self._held: deque[tuple[Position, Pages]] = deque()  # when it may go, what
        self._held_bytes = 0
        self._next = 0  # of all pieces ever; its remainder is the index
        self.read_bytes = 0
        self._in_blocks = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-runtime-weights", daemon=True)

    def start(self) -> None:
        for pages in (pages for tensor in self._tensors for pages in tensor):
            self._in_blocks = expect_blocks(pages) and self._in_blocks
            self._forget(pages)
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
        used_at = FirstPass(self._tensors, self._position, self._forget).watch(self._stop)
        in_order = sorted(zip(used_at, self._tensors, strict=True), key=lambda pair: pair[0])
        self._pieces = [_Piece(pages, nodes) for nodes, tensor in in_order for pages in tensor]
        self._next = self._position().passes * len(self._pieces)
        while not self._stop.is_set():
            self._step()

    def _step(self) -> None:
        position = self._position()
        self._release_used(position)
        used_at, pages = self._upcoming()
        if used_at <= position:  # too late: whoever needed it has read it
            self._next += 1
            self._forget(pages)
        elif self._held_bytes + pages.length_bytes <= self._window_bytes:
            self._next += 1
            self._read(used_at, pages)
        else:
            self._stop.wait(_POLL_S)

    def _upcoming(self) -> tuple[Position, Pages]:
        passes, index = divmod(self._next, len(self._pieces))
        piece = self._pieces[index]
        return Position(passes, piece.used_at), piece.pages

    def _release_used(self, position: Position) -> None:
        while self._held and self._held[0][0] <= position:
            _, pages = self._held.popleft()
            self._held_bytes -= pages.length_bytes
            self._forget(pages)

    def _read(self, used_at: Position, pages: Pages) -> None:
        read_in(pages, exactly=not self._in_blocks)
        self.read_bytes += pages.length_bytes
        self._held.append((used_at, pages))
        self._held_bytes += pages.length_bytes

    def _forget(self, pages: Pages) -> None:
        unmap_and_forget(pages, self._descriptors[pages.file_index])
