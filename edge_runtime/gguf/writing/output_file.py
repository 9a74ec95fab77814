"""A file that gets its name when all of it is there, and is gone when it is not."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ...errors import EdgeRuntimeError, OptionInvalid, StorageFull
from ...values.units import format_bytes

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def check_output(path: Path, force: bool) -> None:
    """Raises OptionInvalid where a file must not be written."""
    if path.is_dir() or (path.exists() and not force):
        found = "is a folder" if path.is_dir() else "exists already"
        raise OptionInvalid(
            f"{path} {found}",
            hint="give another name" + ("" if path.is_dir() else ", or force=True to replace it"),
            option="output",
            value=str(path),
        )


@contextmanager
def output_file(path: Path, total_bytes: int, *, force: bool, smaller: str) -> Iterator[BinaryIO]:
    """A file to write `total_bytes` to; `smaller` says what would need less, for a full disk's hint.

    Raises StorageFull or OptionInvalid; whatever ends the block early leaves nothing behind.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if total_bytes > shutil.disk_usage(path.absolute().parent).free:
            raise _full(path, total_bytes, smaller)
        # Larger pieces than this are not copied once more.
        with partial.open("wb", buffering=1 << 16) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_output(path, force)  # again: another program may have been as busy
        partial.replace(path)
    except OSError as error:
        if isinstance(error, EdgeRuntimeError):
            raise
        full = error.errno in _NO_ROOM
        raise _full(path, total_bytes, smaller) if full else cannot_write(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _full(path: Path, needed_bytes: int, smaller: str) -> StorageFull:
    folder = path.absolute().parent
    free_bytes = shutil.disk_usage(folder).free
    return StorageFull(
        f"no room in {folder}: {format_bytes(needed_bytes)} needed, {format_bytes(free_bytes)} free",
        hint=f"write to a larger disk, or {smaller}",
        needed_bytes=needed_bytes,
        free_bytes=free_bytes,
        path=str(folder),
    )


def cannot_write(path: Path, error: OSError) -> OptionInvalid:
    return OptionInvalid(
        f"cannot write {path}: {error.strerror}",
        hint="name a file in a folder that exists and that you may write to",
        option="output",
        value=str(path),
    )
