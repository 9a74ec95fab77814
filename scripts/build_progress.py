"""Says how far a long build is, from the step counts that Ninja and Make print."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_NINJA_STEP = re.compile(r"\s*\[(\d+)/(\d+)\] ")
_MAKE_PERCENT = re.compile(r"\s*\[ *(\d+)%\] ")
_ESTIMATE_FROM = 0.05  # of the work; earlier the rate says nothing


class BuildProgress:
    """On a terminal one line that updates itself; elsewhere a plain line every 10 %."""

    def __init__(
        self, title: str, stream: TextIO | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._now = now
        self._terminal = self._stream.isatty()
        self._printed_percent = -10

    def __enter__(self) -> BuildProgress:
        self._start_s = self._now()
        self._write(f"{self._title}: fetching the source", update=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(f"{self._title}: ended after {_clock(self._elapsed_s())}", update=False)

    def see(self, line: str) -> None:
        """Take one line of the build's output; most say nothing about progress."""
        fraction = _fraction_done(line)
        if fraction is None:
            return
        percent = int(fraction * 100)
        if not self._terminal and percent // 10 <= self._printed_percent // 10:
            return
        self._printed_percent = percent
        text = f"{self._title}: {percent:3d} %, {_clock(self._elapsed_s())} so far"
        if fraction >= _ESTIMATE_FROM:
            text += f", about {_clock(self._elapsed_s() * (1 - fraction) / fraction)} left"
        self._write(text, update=True)

    def _elapsed_s(self) -> float:
        return self._now() - self._start_s

    def _write(self, text: str, *, update: bool) -> None:
        if self._terminal:
            text = f"\r\033[K{text}" + ("" if update else "\n")
        else:
            text += "\n"
        self._stream.write(text)
        self._stream.flush()


def _fraction_done(line: str) -> float | None:
    step = _NINJA_STEP.match(line)
    if step:
        return int(step[1]) / max(1, int(step[2]))
    percent = _MAKE_PERCENT.match(line)
    return int(percent[1]) / 100 if percent else None


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
