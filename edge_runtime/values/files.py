"""Reading and hashing files that the user named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import EdgeRuntimeError, ModelFileInvalid

BLOCK_BYTES = 1 << 20


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
