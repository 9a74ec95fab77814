"""A cursor over an untrusted GGUF file: reads forward, checks every length.

Every length is checked against the file's real size before anything is read or
allocated. The file is read, never mapped: one that shrinks under a mapping ends
the process.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, ModelFileInvalid, ModelNotFound, ModelUnsupported
from .types import GgufStringArray

# Our own limit, far above any real model: 262,144 tokens and 514,906 merges need 19 MB.
MAX_HEADER_BYTES = 128 * 2**20
_READ_BYTES = 2**20

COPY_AGAIN = "download or copy the file again; `edge-runtime verify` compares a known model's checksum"


@contextmanager
def open_model(path: Path) -> Iterator[Cursor]:
    """A cursor at the start of the file.

    Raises ModelNotFound when the file cannot be opened, or stops being readable.
    """
    try:
        _require_regular_file(path)
        with path.open("rb") as file:
            yield Cursor(path, file, os.fstat(file.fileno()).st_size)
    except ModelError:
        raise
    except OSError as error:
        hint = "check the path, its permissions and the disk"
        raise model_not_found(path, f"cannot be read: {error.strerror or error}", hint) from error


def _require_regular_file(path: Path) -> None:
    hint = "check the path, or take a name from `edge-runtime models list`"
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in it
        raise model_not_found(path, "does not exist", hint) from None
    if stat.S_ISDIR(mode):
        raise model_not_found(path, "is a folder", "give the .gguf file in it")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise model_not_found(path, "is not a regular file", hint)


def model_not_found(path: Path, problem: str, hint: str) -> ModelNotFound:
    return ModelNotFound(f"{path} {problem}", hint=hint, path=str(path))


class Cursor:
    """A position in one file, and a window of bytes from there on."""

    def __init__(self, path: Path, file: BinaryIO, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.position = 0  # in the file; the window is never behind it
        self.fell_short = False  # whether there was less to read than `size_bytes`
        self._file = file
        self._window = b""
        self._window_start = 0  # in the file

    def damaged(
        self, expected: str, found: object, *, at: int | None = None, hint: str = COPY_AGAIN
    ) -> ModelFileInvalid:
        """The error that says so; `at` is where, when that is not here."""
        offset = self.position if at is None else at
        return ModelFileInvalid(
            f"{self.path.name} is damaged at byte {offset}: expected {expected}, found {_shown(found)}",
            hint=hint,
            path=str(self.path),
            offset=offset,
            expected=expected,
            found=found,
        )

    def unsupported(self, problem: str, found: object) -> ModelUnsupported:
        return ModelUnsupported(
            f"{self.path.name} {problem}",
            hint="convert the model again with a current llama.cpp, or update edge-runtime",
            path=str(self.path),
            offset=self.position,
            found=found,
        )

    def take(self, size_bytes: int, what: str) -> bytes:
        self._require(size_bytes, what)
        start = self.position - self._window_start
        self.position += size_bytes
        return self._window[start : start + size_bytes]

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "little")

    def u64(self, what: str) -> int:
        return int.from_bytes(self.take(8, what), "little")

    def count(self, limit: int, what: str) -> int:
        at = self.position
        count = self.u64(f"the number of {what}")
        if count > limit:
            raise self.damaged(f"at most {limit} {what}", count, at=at)
        return count

    def text(self, limit_bytes: int, what: str) -> bytes:
        at = self.position
        size_bytes = self.u64(f"the length of {what}")
        if size_bytes > limit_bytes:
            raise self.damaged(f"{what} of at most {limit_bytes} bytes", size_bytes, at=at)
        return self.take(size_bytes, what)

    def name(self, limit_bytes: int, what: str) -> str:
        at = self.position
        raw = self.text(limit_bytes, what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.damaged(f"{what} in UTF-8", repr(raw[:60]), at=at) from None

    def strings(self, count: int, what: str) -> GgufStringArray:
        """`count` strings, found but not decoded: 0.1 s for a million of them."""
        self._check_room(8 * count, f"{count} {what}")
        pieces: list[bytes] = []
        starts: list[NDArray[np.int64]] = []
        found = size_bytes = 0
        while found < count:
            number = f"{what} {found + 1} of {count}"
            inside, end = find_strings(self._window_from_here(number), count - found)
            pieces.append(self.take(end, number))
            starts.append(inside + size_bytes)
            found += len(inside)
            size_bytes += end
        offsets = np.concatenate(starts) if starts else np.empty(0)
        return GgufStringArray(b"".join(pieces), offsets.astype(np.uint32))

    def _window_from_here(self, what: str) -> NDArray[np.uint8]:
        """(bytes,) from the position on, at least the 8 that hold a length."""
        self._require(8, what)
        return np.frombuffer(self._window, np.uint8)[self.position - self._window_start :]

    def _check_room(self, size_bytes: int, what: str) -> None:
        end = self.position + size_bytes
        if end > self.size_bytes:
            raise self.damaged(what, f"the end of the file at byte {self.size_bytes}")
        if end > MAX_HEADER_BYTES:
            raise self.damaged(f"a header of at most {MAX_HEADER_BYTES} bytes", end)

    def _require(self, size_bytes: int, what: str) -> None:
        """Brings the next `size_bytes` into the window, or fails without reading."""
        self._check_room(size_bytes, what)
        start = self.position - self._window_start
        if len(self._window) - start < size_bytes:
            kept = self._window[start:]
            self._window_start = self.position
            self._window = kept + self._file.read(max(size_bytes - len(kept), _READ_BYTES))
            if len(self._window) < size_bytes:
                self.fell_short = True
                raise self.damaged(what, "a file that shrank while it was read")


def find_strings(window: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int64], int]:
    """Where the lengths of up to `count` strings stand, and where the last string ends.

    The window begins with a length. All strings lie inside it but the last, of
    which only the length must; so the end may lie outside.

    Going from length to length in Python takes 0.2 s for 777,000 strings. So we
    guess all lengths at once, and believe a guess only where it stands exactly
    where the string before it ends. What was not guessed is read one by one.
    """
    guesses = _guess_lengths(window)
    ends = guesses + 8 + window[guesses]
    last_of_run = np.append(np.flatnonzero(ends[:-1] != guesses[1:]), len(guesses) - 1)
    runs: list[NDArray[np.int64]] = []
    found = start = 0
    while found < count and start + 8 <= len(window):
        first = int(np.searchsorted(guesses, start))
        if first < len(guesses) and guesses[first] == start:
            last = last_of_run[np.searchsorted(last_of_run, first)]
            run = guesses[first : last + 1][: count - found]
            start = int(ends[first + len(run) - 1])
        else:
            run, start = _walk(window, start, min(count - found, 32))
        runs.append(run)
        found += len(run)
    return np.concatenate(runs), start


def _guess_lengths(window: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Offsets of a byte that is not zero and has seven zeros after it: the length of
    a string of 1 to 255 bytes, which is nearly every token and merge."""
    zero = window == 0
    two = zero[:-1] & zero[1:]
    four = two[:-2] & two[2:]
    seven = four[:-3] & four[3:]
    return np.flatnonzero(seven[1:] & ~zero[:-7])


def _walk(window: NDArray[np.uint8], start: int, count: int) -> tuple[NDArray[np.int64], int]:
    starts: list[int] = []
    while len(starts) < count and start + 8 <= len(window):
        starts.append(start)
        start += 8 + int.from_bytes(window[start : start + 8].tobytes(), "little")
    return np.array(starts, np.int64), start


def _shown(found: object) -> str:
    """9123456789 -> '9e9': nobody reads absurd numbers digit by digit."""
    if not isinstance(found, int) or found < 10**9:
        return str(found)
    digits, exponent = f"{found:.0e}".split("e+")
    return f"{digits}e{int(exponent)}"
