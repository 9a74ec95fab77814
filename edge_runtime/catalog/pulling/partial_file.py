"""A file while it arrives: hashed as it grows, given its name only when it is right."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ...errors import ModelError, ModelFileInvalid
from ...gguf.header import read_one_file
from ...values.files import BLOCK_BYTES
from ..manifest import ModelFile
from ..store import FileRecord, partial_path, storing, write_record


@dataclass(frozen=True)
class Expected:
    """What a file must be. 0 and "" mean that it is not known."""

    size_bytes: int = 0
    sha256: str = ""
    known_from: str = ""  # "manifest", "hub" or ""


def expected_of(file: ModelFile) -> Expected:
    """What its manifest says a file must be. A size counts only together with a hash."""
    return Expected(file.size_bytes, file.sha256, "manifest") if file.sha256 else Expected()


def compare(path: Path, found: Expected, expected: Expected) -> None:
    """Raise ModelFileInvalid unless what was found is what was expected."""
    for name, wanted, got in (
        ("size", expected.size_bytes, found.size_bytes),
        ("sha256", expected.sha256, found.sha256),
    ):
        if wanted and wanted != got:
            raise ModelFileInvalid(
                f"{path.name} is not the file it should be: {name} {got}, expected {wanted}",
                hint="it was damaged on the way, or the source has changed; try again, or another source",
                path=str(path),
                expected=wanted,
                found=got,
            )


class PartialFile:
    """A file on its way into the store. What an earlier run has left is kept, and hashed again.

    Only `adopt` gives it its name. Leaving the `with` block in any other way
    keeps what has arrived, except after a wrong hash, which deletes it.
    """

    def __init__(self, final: Path, needed_bytes: int = 0, gguf: bool | None = None) -> None:
        """`gguf`: whether it must be one; by default its name decides."""
        self.final = final
        self._gguf = final.suffix.lower() == ".gguf" if gguf is None else gguf
        self.path = partial_path(final)
        self.size_bytes = 0
        self._needed_bytes = needed_bytes  # of the whole file, for the message when the disk is full
        self._etag_path = self.path.with_name(self.path.name + ".etag")
        self._digest = hashlib.sha256()

    def __enter__(self) -> PartialFile:
        with storing(self.final.parent):
            self.final.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that a full disk is met at the write it concerns and not when closing.
            self._handle = self.path.open("ab", buffering=0)
        self.keep_only(self.path.stat().st_size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()
        if not self.size_bytes:
            self.discard()

    @property
    def etag(self) -> str:
        """What the server called this version of the file; "" when it did not say."""
        try:
            return self._etag_path.read_text(encoding="utf-8")[:500]
        except (OSError, ValueError):
            return ""

    @etag.setter
    def etag(self, value: str) -> None:
        with storing(self.final.parent):
            self._etag_path.write_text(value, encoding="utf-8")

    def keep_only(self, size_bytes: int) -> None:
        """Cut the file to its first bytes, and hash those again: they may be from an earlier run."""
        self._digest = hashlib.sha256()
        self.size_bytes = size_bytes
        with storing(self.final.parent):
            self._handle.truncate(size_bytes)
            with self.path.open("rb", buffering=0) as handle:
                while block := handle.read(BLOCK_BYTES):
                    self._digest.update(block)

    def write(self, data: bytes) -> None:
        """Append. Raises StorageFull when the disk is; what did fit is kept."""
        view = memoryview(data)
        while view:
            with storing(self.final.parent, max(self._needed_bytes - self.size_bytes, len(view))):
                count = self._handle.write(view)
            self._digest.update(view[:count])
            self.size_bytes += count
            view = view[count:]

    def check(self, expected: Expected) -> None:
        """Raise ModelFileInvalid or ModelUnsupported, and delete everything, when this is not as expected."""
        try:
            compare(self.final, self.found, expected)
            self._check_structure()
        except ModelError:
            self.discard()
            raise

    @property
    def found(self) -> Expected:
        return Expected(self.size_bytes, self._digest.hexdigest())

    def adopt(self, expected: Expected, source: str, final: Path | None = None) -> FileRecord:
        """Check, make it durable, give it its name, and write its record."""
        self.check(expected)
        final = final or self.final
        with storing(final.parent):
            os.fsync(self._handle.fileno())
            self._handle.close()
            final.parent.mkdir(parents=True, exist_ok=True)
            self.path.replace(final)
            sync_folder(final.parent)
        self._etag_path.unlink(missing_ok=True)
        return write_record(final, self.found.sha256, expected.known_from if expected.sha256 else "", source)

    def discard(self) -> None:
        self._handle.close()
        self.path.unlink(missing_ok=True)
        self._etag_path.unlink(missing_ok=True)

    def _check_structure(self) -> None:
        """A GGUF file's own tables: whether all that they name lies inside the file."""
        if self._gguf:
            read_one_file(self.path, shown_as=self.final)


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut. Windows has no such call, some file systems refuse it."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
