"""The abort callback of llama.cpp: called after every node of a graph.

The callback is a function of the C library: one in Python would cost a millisecond a token.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Protocol


class AbortSignal(Protocol):
    callback: int  # address of a C function: bool (*)(void * data)
    data: int  # its argument

    def arm(self) -> None:
        """Before each step: forget an earlier abort."""

    def abort(self) -> None:
        """Make the running step end at its next node; any thread may call it."""


class FlagSignal:
    """strlen(flag) is 0 for "\\0" and 1 for "\\1\\0": exactly the bool that is asked for."""

    def __init__(self) -> None:
        self._flag = ctypes.create_string_buffer(2)
        self.data = ctypes.addressof(self._flag)
        self.callback = _address_of("strlen")
        self._raised = False  # cheaper to ask than the flag itself: arm() stands between two tokens

    def arm(self) -> None:
        if self._raised:
            self._raised = False
            self._flag[0] = b"\0"

    def abort(self) -> None:
        self._flag[0] = b"\1"  # before the next line: an arm() in between must leave the flag up
        self._raised = True


class CountingSignal:
    """Also tells how far a step has come: sem_post() adds one and returns 0.

    At its largest value it fails and returns -1, which reads as "stop": see sem_post(3).
    """

    _LARGEST = 2**31 - 1  # SEM_VALUE_MAX

    def __init__(self) -> None:
        """Raises OSError where the C library has no unnamed semaphores (macOS, Windows)."""
        self._c = ctypes.CDLL(None, use_errno=True)
        self._semaphore = ctypes.create_string_buffer(64)  # sem_t has 32 bytes at most
        self.data = ctypes.addressof(self._semaphore)
        if not hasattr(self._c, "sem_init") or self._c.sem_init(self._pointer, 0, 0) != 0:
            raise OSError("no unnamed semaphores here")
        self.callback = _address_of("sem_post")
        self._passes = 0

    @property
    def _pointer(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.data)

    def arm(self) -> None:
        count = self._count()
        # In this order: who asks in between must not see a new pass with the old one's nodes.
        self._c.sem_init(self._pointer, 0, 0)
        if 0 < count < self._LARGEST:
            self._passes += 1

    def abort(self) -> None:
        self._c.sem_init(self._pointer, 0, self._LARGEST)

    @property
    def position(self) -> tuple[int, int]:
        """Passes done since the beginning, and nodes done of the running one; any thread may ask.

        A pass that was done counts as running until the next begins; one that was aborted is at 0.
        """
        count = self._count()
        return self._passes, count if count < self._LARGEST else 0

    def _count(self) -> int:
        value = ctypes.c_int()
        self._c.sem_getvalue(self._pointer, ctypes.byref(value))
        return value.value


def counting_signal() -> CountingSignal | None:
    """None where there is none."""
    try:
        return CountingSignal() if sys.platform.startswith(("linux", "android")) else None
    except OSError:
        return None


def _address_of(name: str) -> int:
    c_library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
    address = ctypes.cast(getattr(c_library, name), ctypes.c_void_p).value
    assert address is not None
    return address
