"""Queues of sound that waits to be processed: live, or simulated from a recording."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from ..audio import SPEECH_RATE_HZ, AudioBlock, AudioSource
from .clock import ArrivalClock, SimulatedClock

_DRAIN_S, _LET_GO_S = (
    3.0,
    0.2,
)  # what a source may take to give the rest when it is stopped; to notice the end


class Inbox(Protocol):
    error: Exception | None  # that ended the source

    def take(self) -> AudioBlock | None:
        """The next block, waiting for it; None when the sound has ended."""

    @property
    def caught_up(self) -> bool:
        """Whether nothing has come that was not taken."""

    def now_s(self) -> float: ...

    def stop(self) -> None:
        """Nothing that comes from now on is taken. From any thread, signal handlers included."""

    def close(self) -> None: ...


class SimulatedInbox:
    """A source as if it were live. No thread: the source is asked when the clock says so."""

    def __init__(self, source: AudioSource, clock: SimulatedClock) -> None:
        self.error: Exception | None = None
        self._blocks: Iterator[AudioBlock] | None = iter(source)
        self._clock = clock
        self._next: AudioBlock | None = None
        self._stopped = False

    def take(self) -> AudioBlock | None:
        """See Inbox."""
        self._fetch()
        block = self._next
        if block is None or (self._stopped and _end_s(block) > self._clock.now_s()):
            return None
        self._clock.wait_until(_end_s(block))
        self._next = None
        return block

    @property
    def caught_up(self) -> bool:
        """See Inbox."""
        self._fetch()
        return self._next is None or _end_s(self._next) > self._clock.now_s()

    def now_s(self) -> float:
        """See Inbox."""
        return self._clock.now_s()

    def stop(self) -> None:
        """See Inbox."""
        self._stopped = True

    def close(self) -> None:
        """See Inbox."""
        self._blocks = self._next = None

    def _fetch(self) -> None:
        if self._next is None and self._blocks is not None:
            try:
                self._next = next(self._blocks, None)
            except Exception as error:  # noqa: BLE001 - raised after the events of all sound before it
                self.error = error
            if self._next is None:
                self._blocks = None


class LiveInbox:
    """A thread takes blocks from the source as they come; they wait here, up to a limit.

    At the limit the source itself has to wait: a microphone counts what it then drops.
    """

    def __init__(self, source: AudioSource, backlog_s: float) -> None:
        self.error: Exception | None = None
        self._source = source
        self._clock = ArrivalClock()
        self._blocks: deque[AudioBlock] = deque()
        self._wake: SimpleQueue[None] = (
            SimpleQueue()
        )  # a signal handler may put: it takes no lock of Python's
        self._most_waiting = round(backlog_s * SPEECH_RATE_HZ)
        self._put_samples = self._taken_samples = 0  # each changed by one thread only
        self._room = threading.Event()
        self._over = self._stopped = self._source_stopped = False
        self._thread = threading.Thread(target=self._read, name="edge-runtime-listen", daemon=True)
        self._thread.start()

    def take(self) -> AudioBlock | None:
        """See Inbox."""
        while True:
            if self._blocks:
                return self._pop()
            if self._over and not self._blocks:
                return None
            if self._stopped and not self._source_stopped:
                self._stop_source()
            elif self._stopped and not self._wait(_DRAIN_S):
                return None  # it does not react: a pipe without a writer
            elif not self._stopped:
                self._wait(None)

    @property
    def caught_up(self) -> bool:
        """See Inbox."""
        return not self._blocks

    def now_s(self) -> float:
        """See Inbox."""
        return self._clock.now_s()

    def stop(self) -> None:
        """See Inbox."""
        self._stopped = True
        self._wake.put(None)

    def close(self) -> None:
        """See Inbox."""
        self._stopped = self._over = True
        self._room.set()
        self._wake.put(None)
        self._stop_source()
        # A source without stop() may wait for ever: its thread ends with the process.
        self._thread.join(timeout=_DRAIN_S if hasattr(self._source, "stop") else _LET_GO_S)
        self._blocks.clear()

    def _pop(self) -> AudioBlock:
        block = self._blocks.popleft()
        self._taken_samples += len(block.samples)
        self._room.set()
        return block

    def _wait(self, timeout_s: float | None) -> bool:
        try:
            self._wake.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def _stop_source(self) -> None:
        """A source that can be stopped still gives what it holds; from any other nothing more is taken."""
        if self._source_stopped:
            return
        self._source_stopped = True
        stop = getattr(self._source, "stop", None)
        if stop is None:
            self._over = True
        else:
            with suppress(Exception):  # a device that is gone cannot be stopped any more
                stop()

    # --- the reading thread -------------------------------------------------------------

    def _read(self) -> None:
        try:
            for block in self._source:
                if self._over:
                    return
                self._clock.arrived(_end_s(block))
                self._put(block)
        except Exception as error:  # noqa: BLE001 - raised where the events are awaited
            self.error = error
        finally:
            self._over = True
            self._wake.put(None)

    def _put(self, block: AudioBlock) -> None:
        while self._is_full() and not self._over:
            self._room.clear()
            if self._is_full():
                self._room.wait(timeout=0.5)
        self._put_samples += len(block.samples)
        self._blocks.append(block)
        if self._wake.empty():
            self._wake.put(None)

    def _is_full(self) -> bool:
        return self._put_samples - self._taken_samples > self._most_waiting


def _end_s(block: AudioBlock) -> float:
    return block.end_sample / SPEECH_RATE_HZ
