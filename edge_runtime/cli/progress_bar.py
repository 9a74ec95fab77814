"""What a person sees while bytes go by: a bar on a terminal, a line now and then elsewhere. All on stderr."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..progress import Advance
from ..units import format_bytes

_LINE_EVERY_S = 10.0
_LINE_FROM_BYTES = 32 << 20  # smaller files are done before anyone wonders


class ConsoleProgress:
    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        tqdm = _import_tqdm() if sys.stderr.isatty() else None
        if tqdm is None:
            yield _Lines(label, total_bytes, done_bytes).advance
            return
        size = shutil.get_terminal_size()  # 80 x 24 where it is unknown; tqdm would show nothing there
        with tqdm(
            total=total_bytes or None,
            initial=done_bytes,
            desc=label,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            file=sys.stderr,
            ncols=size.columns,
            nrows=size.lines,
        ) as bar:
            yield bar.update


def _import_tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


class _Lines:
    """A line at the start of a large file and every ten seconds."""

    def __init__(self, label: str, total_bytes: int, done_bytes: int) -> None:
        self._label, self._total_bytes, self._done_bytes = label, total_bytes, done_bytes
        self._last_s = time.monotonic()
        if total_bytes >= _LINE_FROM_BYTES:
            self._print()

    def advance(self, count: int) -> None:
        self._done_bytes += count
        if time.monotonic() - self._last_s >= _LINE_EVERY_S:
            self._print()

    def _print(self) -> None:
        self._last_s = time.monotonic()
        share = f" ({100 * self._done_bytes // self._total_bytes} %)" if self._total_bytes else ""
        total = f" of {format_bytes(self._total_bytes)}" if self._total_bytes else ""
        print(f"{self._label}: {format_bytes(self._done_bytes)}{total}{share}", file=sys.stderr, flush=True)
