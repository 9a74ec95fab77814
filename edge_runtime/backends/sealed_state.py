"""State files of llama.cpp sealed with a hash, so that only whole ones of the same model are read.

llama.cpp believes a state file: a damaged one ends the process. So a footer is
put behind its data (which it ignores) with a hash of everything, and a name for
the model and library that wrote it.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import BinaryIO

from ..errors import HistoryUnavailable

_MAGIC = b"edgestat"
_FOOTER = struct.Struct("<8s32s32sQ")  # magic, key, sha256 of the data, size of the data
_SAMPLE_BYTES = 1 << 20


def model_key(model_path: Path, library: str) -> bytes:
    """32 bytes that differ for another model file or another llama.cpp: size, first and last MiB."""
    digest = hashlib.sha256(library.encode())
    with model_path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        digest.update(size_bytes.to_bytes(8, "little") + file.read(_SAMPLE_BYTES))
        file.seek(max(0, size_bytes - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return digest.digest()


def seal(path: Path, key: bytes) -> int:
    """Append the footer; the file's whole size. Raises HistoryUnavailable."""
    try:
        with path.open("r+b") as file:
            data_hash, size_bytes = _hash(file, None)
            file.seek(0, os.SEEK_END)
            file.write(_FOOTER.pack(_MAGIC, key, data_hash, size_bytes))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise HistoryUnavailable(
            f"{path}: the conversation's state could not be written: {error}",
            hint="the conversation itself is not affected; free some space",
        ) from error
    return size_bytes + _FOOTER.size


def is_sound(path: Path, key: bytes) -> bool:
    """Whether `path` is whole and was written by this model and library."""
    try:
        with path.open("rb") as file:
            data_bytes = os.fstat(file.fileno()).st_size - _FOOTER.size
            if data_bytes < 0:
                return False
            file.seek(data_bytes)
            magic, found_key, data_hash, size_bytes = _FOOTER.unpack(file.read(_FOOTER.size))
            if (magic, found_key, size_bytes) != (_MAGIC, key, data_bytes):
                return False
            file.seek(0)
            return bool(_hash(file, data_bytes)[0] == data_hash)
    except OSError:
        return False


def _hash(file: BinaryIO, size_bytes: int | None) -> tuple[bytes, int]:
    """sha256 of the next `size_bytes` (None: all), and how many those were."""
    digest, count = hashlib.sha256(), 0
    while size_bytes is None or count < size_bytes:
        room = _SAMPLE_BYTES if size_bytes is None else min(_SAMPLE_BYTES, size_bytes - count)
        block = file.read(room)
        if not block:
            break
        digest.update(block)
        count += len(block)
    return digest.digest(), count
