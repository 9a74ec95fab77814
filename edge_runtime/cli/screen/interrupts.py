"""Handling of Ctrl-C: stop the answer, clear the line, or nothing, by the moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType

_IMPATIENT_PRESSES = 3
# Ctrl-C; what systemd, timeout and kill send; a terminal that was closed, which Windows does not know.
ENDINGS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)


class Interrupts:
    """While the block runs, Ctrl-C raises nothing by itself: it calls what during() was given.

    A KeyboardInterrupt in the middle of reading a stream could lose a piece of the
    answer, or its end. Whoever presses three times while nothing helps is let out
    with KeyboardInterrupt.
    """

    def __init__(
        self,
        impatient_presses: int = _IMPATIENT_PRESSES,
        signals: Sequence[signal.Signals] = (signal.SIGINT,),
    ) -> None:
        """`signals`: all of them count as Ctrl-C."""
        self._impatient_presses, self._signals = impatient_presses, signals
        self.presses = 0  # since the last clear()
        self._action: Callable[[], None] | None = None
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Interrupts:
        # Elsewhere Python allows no handlers; and who started us may have told us to ignore a signal.
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def clear(self) -> None:
        self.presses = 0

    @contextmanager
    def during(self, action: Callable[[], None]) -> Iterator[None]:
        """Ctrl-C calls `action`; at once, if it was pressed since the last clear()."""
        self._action = action
        try:
            if self.presses:
                action()
            yield
        finally:
            self._action = None

    def _press(self, _signal: int, _frame: FrameType | None) -> None:
        self.presses += 1
        if self._action is not None:
            self._action()
        if self.presses >= self._impatient_presses:
            raise KeyboardInterrupt
