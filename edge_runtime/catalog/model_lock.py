"""A lock for each model: one process at a time changes it; the others wait and find it done."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from ..device.folders import store_folder
from .store import model_folder, storing


@contextmanager
def lock_model(name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep other processes from changing this model. Waits for them, after calling `on_wait` once."""
    model_folder(name)  # refuses names that would lead elsewhere
    folder = store_folder() / "locks"
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / f"{name}.lock").open("ab", buffering=0)
    with handle:
        waited = False
        while not _try_lock(handle):
            if not waited:
                on_wait()
            waited = True
            time.sleep(0.2)  # polled, not awaited: Ctrl-C must end the wait on every system
        yield  # closing the file gives the lock back, and so does the death of the process


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: IO[bytes]) -> bool:
        handle.seek(0)
        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            # An SD card's or network file system may know no locks: then two pulls at
            # once cost a second download, never a wrong file, for the hash decides.
            if error.errno not in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}:
                raise
        return True
