"""A child process that is sent data and reports while it works."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from .ending import ChildEnd, ending
from .launch import start_python

_MOST_STDERR_BYTES = 1 << 16


class ChildStream:
    """`python -m module`, alive as long as the `with` block.

    It has to read all that it is sent before it says anything.
    """

    def __init__(self, module: str, *, children: bool | None = None) -> None:
        """Raises ChildUnavailable."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        try:
            self._process = start_python(
                ["-m", module], stdin=subprocess.PIPE, stderr=self._errors, children=children
            )
        except BaseException:
            self._errors.close()
            raise

    def send(self, parts: Iterable[bytes | memoryview]) -> None:
        """All it needs to know, to the end. Where it has died meanwhile, end() tells."""
        if self._process.stdin is None:
            return
        with suppress(BrokenPipeError):
            for part in parts:
                self._process.stdin.write(part)
            self._process.stdin.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """JSON objects, a line each; what native libraries print beside is ignored."""
        for line in self._process.stdout or ():
            if line.startswith(b"{"):
                yield json.loads(line)

    def end(self) -> ChildEnd:
        """Waits for it."""
        status = self._process.wait()
        self._errors.seek(0)
        return ending(status, "", self._errors.read(_MOST_STDERR_BYTES).decode(errors="replace"))

    def __enter__(self) -> ChildStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # a broken pipe may have something left to write
                    pipe.close()
        self._errors.close()
