"""A file that gets its name when all of it is there, and is gone when it is not."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import OptionInvalid
from .files import storage_full, writing_to


def check_output(path: Path, force: bool, *, option: str = "output") -> None:
    """Raises OptionInvalid where a file must not be written.

    `force` replaces a file, and nothing else: no folder, pipe or device, also behind a
    symbolic link. Whoever may write to /dev must not lose /dev/null.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(path, error, option=option) from error
    if stat.S_ISREG(mode):
        if force:
            return
        found, hint = "exists already", "give another name, or force=True to replace it"
    else:
        found, hint = "is a folder" if stat.S_ISDIR(mode) else "is a pipe or a device", "give another name"
    raise OptionInvalid(f"{path} {found}", hint=hint, option=option, value=str(path))


@contextmanager
def output_path(
    path: Path, *, force: bool, needed_bytes: int = 0, smaller: str = "", option: str = "output"
) -> Iterator[Path]:
    """A name beside `path` to write a file at; the file moves to `path` when the block ends.

    `smaller` says what would need less, for a full disk's hint. Raises StorageFull or
    OptionInvalid; whatever ends the block early leaves nothing behind.
    """
    check_output(path, force, option=option)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    folder = path.absolute().parent
    hint = "write to a larger disk" + (f", or {smaller}" if smaller else "")
    try:
        with writing_to(
            folder,
            lambda error: cannot_write(path, error, option=option),
            needed_bytes=needed_bytes,
            hint=hint,
        ):
            if needed_bytes > shutil.disk_usage(folder).free:
                raise storage_full(folder, needed_bytes, hint)
            yield partial
            check_output(path, force, option=option)  # again: another program may have been as busy
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def output_file(
    path: Path, total_bytes: int, *, force: bool, smaller: str = "", option: str = "output"
) -> Iterator[BinaryIO]:
    """A file to write `total_bytes` to, on the disk when it gets its name. Otherwise as output_path()."""
    place = output_path(path, force=force, needed_bytes=total_bytes, smaller=smaller, option=option)
    # Larger pieces than this are not copied once more.
    with place as partial, partial.open("xb", buffering=1 << 16) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()  # Windows renames no open file


def cannot_write(path: Path, error: OSError, *, option: str = "output") -> OptionInvalid:
    return OptionInvalid(
        f"cannot write {path}: {error.strerror}",
        hint="name a file in a folder that exists and that you may write to",
        option=option,
        value=str(path),
    )
