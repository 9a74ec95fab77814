"""Reading and hashing files that the user named, and what the system says when a disk is full."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import EdgeRuntimeError, ModelFileInvalid, StorageFull
from .units import format_bytes

BLOCK_BYTES = 1 << 20
GIT_LFS_HINT = "fetch the real file with `git lfs pull`, or download it from the model's page"
_GIT_LFS_START = b"version https://git-lfs."

# No space left, a quota used up (Windows has none), larger than the file system or RLIMIT_FSIZE allows.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
# ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_FILE_TOO_LARGE, ERROR_DISK_QUOTA_EXCEEDED
_NO_ROOM_WINDOWS = frozenset({39, 112, 223, 1295})


def expanded(path: str | os.PathLike[str]) -> Path:
    """With the home folder for ~; as it is where nobody knows that folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_file(path: Path) -> bool:
    """Path.is_file(), but for a name that is too long or in a closed folder False, too."""
    return _is(path, Path.is_file)


def is_dir(path: Path) -> bool:
    """Path.is_dir(), likewise."""
    return _is(path, Path.is_dir)


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:
        return False


def hash_file(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """SHA-256, in lower-case hexadecimal, a block at a time."""
    digest = hashlib.sha256()
    with reading(path) as handle:
        while block := handle.read(BLOCK_BYTES):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that the user named. Raises ModelFileInvalid when it cannot be read."""
    try:
        with path.open("rb", buffering=0) as handle:
            yield handle
    except EdgeRuntimeError:
        raise
    except OSError as error:
        raise ModelFileInvalid(
            f"{path} cannot be read: {error.strerror}", hint="check the device and the rights", path=str(path)
        ) from error


def is_git_lfs_pointer(path: Path) -> bool:
    """Whether a file only says where its content is: `git clone` leaves these without Git LFS."""
    try:
        with path.open("rb") as handle:
            return handle.read(len(_GIT_LFS_START)) == _GIT_LFS_START
    except OSError:
        return False


def is_disk_full(error: OSError) -> bool:
    """Whether a write failed for want of room, on any system."""
    return error.errno in _NO_ROOM or getattr(error, "winerror", None) in _NO_ROOM_WINDOWS


def storage_full(folder: Path, needed_bytes: int, hint: str) -> StorageFull:
    """The error of a full disk. `needed_bytes`: in all, or 0 where nobody knows."""
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        free_bytes = 0
    needed = f"{format_bytes(needed_bytes)} needed, " if needed_bytes else ""
    return StorageFull(
        f"no room in {folder}: {needed}{format_bytes(free_bytes)} free",
        hint=hint,
        needed_bytes=needed_bytes,
        free_bytes=free_bytes,
        path=str(folder),
    )


@contextmanager
def writing_to(
    folder: Path, refused: Callable[[OSError], EdgeRuntimeError], *, needed_bytes: int = 0, hint: str
) -> Iterator[None]:
    """What the system says about a write, as an error of ours.

    Raises StorageFull, with `hint`, for a full disk; else `refused` makes the error.
    """
    try:
        yield
    except EdgeRuntimeError:
        raise
    except OSError as error:
        full = is_disk_full(error)
        raise (storage_full(folder, needed_bytes, hint) if full else refused(error)) from error
