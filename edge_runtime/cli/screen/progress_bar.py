"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...values.progress import Advance
from ...values.units import format_bytes

_LINE_EVERY_S = 10.0
_LINE_FROM_BYTES = 32 << 20  # smaller files are done before anyone wonders


class ConsoleProgress:
    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        tqdm = _tqdm(label, total_bytes, done_bytes, unit="B", unit_divisor=1000)
        if tqdm is None:
            lines = _Lines(label, total_bytes, done_bytes, format_bytes)
            if total_bytes >= _LINE_FROM_BYTES:
                lines.show()
            yield lines.advance
            return
        with tqdm as bar:
            yield bar.update

    @contextmanager
    def steps(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        tqdm = _tqdm(label, total, 0, unit=f" {unit}")
        if tqdm is None:
            yield _Lines(label, total, 0, lambda count: f"{count:,} {unit}").advance
            return
        with tqdm as bar:
            yield bar.update


def _tqdm(label: str, total: int, done: int, **units: Any) -> Any:
    """A bar; None without a terminal, or without tqdm."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    size = shutil.get_terminal_size()  # 80 x 24 where it is unknown; tqdm would show nothing there
    places = {"file": sys.stderr, "ncols": size.columns, "nrows": size.lines}
    return tqdm(total=total or None, initial=done, desc=label, unit_scale=True, **units, **places)


class _Lines:
    """A line every ten seconds."""

    def __init__(self, label: str, total: int, done: int, words: Callable[[int], str]) -> None:
        self._label, self._total, self._done, self._words = label, total, done, words
        self._last_s = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._last_s >= _LINE_EVERY_S:
            self.show()

    def show(self) -> None:
        self._last_s = time.monotonic()
        share = f" ({100 * self._done // self._total} %)" if self._total else ""
        total = f" of {self._words(self._total)}" if self._total else ""
        print(f"{self._label}: {self._words(self._done)}{total}{share}", file=sys.stderr, flush=True)
