"""A child process on a real pseudo-terminal: what it writes is read, what a person types is sent."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import edge_runtime


def child_environment(**changed: str) -> dict[str, str]:
    """This process's environment; a child finds the same edge_runtime from any folder."""
    package_parent = str(Path(edge_runtime.__file__).parents[1])
    paths = [package_parent, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path), **changed}


# Makes the terminal the child's own, so that Ctrl-C reaches it. A fork with Python code of
# ours between it and exec would do the same, and can deadlock where other threads run.
_BECOME = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class PseudoTerminal:
    """80 columns, 24 rows. stdin, stdout and stderr of the child are all the terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """`command` begins with an absolute path."""
        self._descriptor, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, *command],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
        os.close(inside)
        self.output = ""  # all of it, so far
        self._read_up_to = 0  # what an earlier wait_for() has passed

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def wait_for(self, text: str, timeout_s: float = 30.0) -> str:
        """Read until `text` appears behind what was waited for before; -> what came up to its end."""
        give_up_s = time.monotonic() + timeout_s
        while (found := self.output.find(text, self._read_up_to)) < 0:
            if not self._read(give_up_s - time.monotonic()):
                raise AssertionError(f"{text!r} did not come; the screen has:\n{self.output}")
        start, self._read_up_to = self._read_up_to, found + len(text)
        return self.output[start : self._read_up_to]

    def _read(self, timeout_s: float) -> bool:
        if timeout_s <= 0 or not select.select([self._descriptor], [], [], timeout_s)[0]:
            return False
        try:
            block = os.read(self._descriptor, 65536)
        except OSError:  # Linux's way to say that the child has closed its end
            return False
        self.output += block.decode(errors="replace")
        return bool(block)

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self.wait()

    def wait(self, timeout_s: float = 30.0) -> int:
        """The exit status; what the child still wrote is in `output`."""
        give_up_s = time.monotonic() + timeout_s
        while self._process.poll() is None:
            self._read(0.05)  # a child that cannot write does not end
            if time.monotonic() > give_up_s:
                raise AssertionError(f"still running; the screen has:\n{self.output}")
        while self._read(0.05):
            pass
        return self._process.returncode

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()
        os.close(self._descriptor)
