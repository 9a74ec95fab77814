"""Bytes of a stream as they come, with an end that can be asked for."""

from __future__ import annotations

import io
import os
import selectors
import stat
import sys
from typing import BinaryIO

_READ_BYTES = 65_536
_LOOK_S = 0.1  # how long stop() may go unnoticed
# Not the default: epoll refuses /dev/null.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class ByteReader:
    """Where nothing comes, read() waits in the system, and in no lock of Python's: a thread that waits
    does not keep the program from ending."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stopped = False
        self._stream = stream
        self._descriptor = _waiting_descriptor(stream)

    def read(self) -> bytes:
        """What is there now, at least one byte; none at the end, and once stopped."""
        if self._descriptor is not None:
            return self._read_waiting(self._descriptor)
        if self.stopped:
            return b""
        if isinstance(self._stream, (io.BufferedReader, io.BytesIO)):
            return self._stream.read1(_READ_BYTES)  # read() would wait until all of it has come
        return self._stream.read(_READ_BYTES)

    def stop(self) -> None:
        """From any thread and from a signal handler: it only leaves a note."""
        self.stopped = True

    def _read_waiting(self, descriptor: int) -> bytes:
        with _Selector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while not self.stopped:
                if selector.select(_LOOK_S):
                    return os.read(descriptor, _READ_BYTES)
        return b""


def _waiting_descriptor(stream: BinaryIO) -> int | None:
    """Of a pipe, a socket or a device. None for what never has to be waited for, and where the
    system cannot watch pipes."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, AttributeError):
        return None
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) else None
