"""The memory monitor: makes room before the budget is reached while a model is open."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from ...device.process_memory import resident_kinds, trim_heap
from .keeper import ResidencyKeeper

_INTERVAL_S = 0.25
_MAKE_ROOM_AT = 0.98  # of the budget
_GROWTH_BYTES = 8_000_000


class MemoryMonitor:
    """One thread that looks four times a second: 10 us a look.

    Over the cap of the per-layer embeddings' cache it empties the cache. Close to the budget
    it empties that cache and trims the heap, until one was enough. While the process
    is over the budget all the same, `exceeded` is true: new work has to be refused.
    """

    def __init__(
        self,
        budget_bytes: int | None,
        *,
        base_bytes: int = 0,
        look: Callable[[], tuple[int, int] | None] = resident_kinds,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        """Made before the model is loaded: what the process holds by then beyond base_bytes
        is somebody else's, a program that the model runs in, and is not held against the budget.

        look: anonymous and file-backed resident bytes now, None where the system does not tell.
        """
        self.budget_bytes = budget_bytes
        self.anonymous_bytes = self.file_bytes = self.peak_bytes = 0
        self.trim_count = 0
        self._left_at_bytes = 0  # by the last attempt to make room
        self._keeper: ResidencyKeeper | None = None
        self._look, self._interval_s = look, interval_s
        self._make_room: list[Callable[[], object]] = [trim_heap]
        trim_heap()  # what others have freed must not count as theirs, and then be gone
        self._foreign_bytes = max(sum(look() or (0, 0)) - base_bytes, 0)
        self._least_file_bytes: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="edge-runtime-memory", daemon=True)

    @property
    def used_bytes(self) -> int:
        return max(self.anonymous_bytes + self.file_bytes - self._foreign_bytes, 0)

    @property
    def exceeded(self) -> bool:
        return self.budget_bytes is not None and self.used_bytes > self.budget_bytes

    def start(self, keeper: ResidencyKeeper | None) -> None:
        """keeper: of the model that has been loaded. What loading has freed goes back to the system."""
        trim_heap()
        self._keeper = keeper
        if keeper is not None:
            self._make_room.insert(0, keeper.trim_ple)
        if self.look():
            self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Take one sample and act on it. False: this system does not tell."""
        if not self._sample():
            return False
        self._hold_ple_cap()
        if self.budget_bytes is not None and self.used_bytes > self._make_room_at_bytes(self.budget_bytes):
            self._shrink(int(_MAKE_ROOM_AT * self.budget_bytes))
        return True

    def _make_room_at_bytes(self, budget_bytes: int) -> int:
        """Where the last attempt ended above the mark, the next waits for growth: it costs speed."""
        mark_bytes = int(_MAKE_ROOM_AT * budget_bytes)
        if self._left_at_bytes <= mark_bytes:
            return mark_bytes
        return min(self._left_at_bytes + _GROWTH_BYTES, max(budget_bytes, self._left_at_bytes))

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            with contextlib.suppress(OSError):
                self.look()

    def _sample(self) -> bool:
        kinds = self._look()
        if kinds is None:
            return False
        self.anonymous_bytes, self.file_bytes = kinds
        self.peak_bytes = max(self.peak_bytes, self.anonymous_bytes + self.file_bytes)
        return True

    def _hold_ple_cap(self) -> None:
        """The file-backed part grows by embedding rows alone, so most looks need not count them."""
        keeper = self._keeper
        cap_bytes = keeper.layout.ple_cache_bytes if keeper and keeper.active else None
        if keeper is None or cap_bytes is None:
            return
        least = self._least_file_bytes
        if least is None or self.file_bytes < least:
            self._least_file_bytes = least = self.file_bytes
        if self.file_bytes - least > cap_bytes and keeper.ple_resident_bytes() > cap_bytes:
            keeper.trim_ple()
            self.trim_count += 1
            self._sample()

    def _shrink(self, wanted_bytes: int) -> None:
        self.trim_count += 1
        for step in self._make_room:
            step()
            self._sample()
            self._left_at_bytes = self.used_bytes
            if self.used_bytes <= wanted_bytes:
                return
