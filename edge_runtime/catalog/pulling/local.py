"""Model files from a folder or a USB stick. Opens no connection."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...device.folders import store_folder
from ...errors import ModelFileInvalid, ModelNotFound
from ...values.files import BLOCK_BYTES, expanded, reading
from ...values.progress import QUIET, Progress
from ..catalog import find_manifest, known_files, split_name
from ..manifest import Manifest, ModelFile
from ..model_lock import lock_model
from ..store import FileRecord, model_file, require_room
from .partial_file import Expected, PartialFile, expected_of

_INCOMING = "incoming"
_PART_OF_SET = re.compile(r"-\d{5}-of-\d{5}$")  # how llama.cpp names the parts of a split file


@dataclass(frozen=True)
class Imported:
    name: str
    path: Path
    record: FileRecord
    known: bool  # whether it is a file of the catalog
    note: str  # "" or what a person should know about it


@dataclass(frozen=True)
class _Place:
    name: str
    file_name: str
    expected: Expected
    known: bool
    note: str = ""


def import_path(path: Path, name: str = "", progress: Progress = QUIET) -> tuple[Imported, ...]:
    """Copy a GGUF file, or every one in a folder, into the store, hashing it on the way.

    A file of the catalog is recognized by size and SHA-256 or, where its manifest
    has no hash, by its name. Others are kept under `name`, or under their own.

    Raises ModelNotFound when there is no GGUF file, ModelFileInvalid for a file that
    is not what it says.
    """
    files = _gguf_files(path)
    with lock_model(_INCOMING, lambda: progress.say("another import is at work; waiting")):
        return tuple(_import_file(file, name, progress) for file in files)


def find_copy(path: Path, file: ModelFile) -> Path:
    """The file for `file` at `path`, a file or a folder. Raises ModelNotFound."""
    if path.is_file():
        return path
    candidates = _files_like(path, Path(file.file_name).suffix)
    for candidate in candidates:
        if candidate.name == file.file_name:
            return candidate
    for candidate in candidates:
        if file.size_bytes and candidate.stat().st_size == file.size_bytes:
            return candidate
    raise ModelNotFound(
        f"{path} has no {file.file_name}",
        hint="give the folder, or the file itself, that holds it",
        looked_in=[str(candidate) for candidate in candidates],
    )


def copy_into(path: Path, partial: PartialFile, progress: Progress) -> None:
    """Fill `partial` from a local file, from the start."""
    size_bytes = path.stat().st_size
    partial.keep_only(0)
    require_room(partial.final.parent, size_bytes)
    with reading(path) as handle, progress.bar(path.name, size_bytes, 0) as advance:
        while block := handle.read(BLOCK_BYTES):
            partial.write(block)
            advance(len(block))


def _gguf_files(path: Path) -> list[Path]:
    path = expanded(path)
    return [path] if path.is_file() else _files_like(path, ".gguf")


def _files_like(folder: Path, suffix: str) -> list[Path]:
    found = [p for p in _walk(folder) if p.suffix.lower() == suffix] if folder.is_dir() else []
    if found:
        return sorted(found)
    kind = "GGUF" if suffix == ".gguf" else suffix
    problem = f"holds no {kind} file" if folder.is_dir() else "does not exist"
    raise ModelNotFound(
        f"{folder} {problem}", hint=f"give a {kind} file, or a folder with some", looked_in=[str(folder)]
    )


def _walk(folder: Path) -> Iterable[Path]:
    """Files below a folder, without hidden ones: macOS leaves a `._name` beside each on foreign disks."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in files if not name.startswith("."))


def _import_file(path: Path, wanted_name: str, progress: Progress) -> Imported:
    # The hash that tells which model it is comes out of the copy, so that a slow stick
    # is read once: until then the copy waits in a folder of its own.
    folder = store_folder() / "models" / f".{_INCOMING}"
    shutil.rmtree(folder, ignore_errors=True)  # what a killed import has left
    with PartialFile(folder / path.name, path.stat().st_size, gguf=True) as partial:
        try:
            copy_into(path, partial, progress)
            partial.check(Expected())
            place = choose_place(path, partial.found, wanted_name)
            with lock_model(place.name):
                final = model_file(place.name, place.file_name)
                record = partial.adopt(place.expected, f"file:{path.absolute()}", final)
        finally:
            partial.discard()
            shutil.rmtree(folder, ignore_errors=True)
    return Imported(place.name, final, record, place.known, place.note)


def choose_place(path: Path, found: Expected, wanted_name: str = "") -> _Place:
    """Where a file of this content belongs, and what it must be to get there."""
    wanted = split_name(wanted_name)[0]
    for manifest, file in known_files():
        same_hash = file.sha256 and (file.size_bytes, file.sha256) == (found.size_bytes, found.sha256)
        if same_hash and wanted in ("", manifest.name):
            return _known_place(manifest, file)
    for manifest, file in known_files():
        if file.file_name == path.name and wanted in ("", manifest.name):
            return _known_place(manifest, file)
    return _own_place(path, found, wanted)


def _known_place(manifest: Manifest, file: ModelFile) -> _Place:
    if file.sha256:
        return _Place(manifest.name, file.file_name, expected_of(file), known=True)
    note = "unverified: recognized by its name, the manifest has no sha256 to compare with"
    return _Place(manifest.name, file.file_name, Expected(), known=True, note=note)


def _own_place(path: Path, found: Expected, wanted: str) -> _Place:
    stem = _PART_OF_SET.sub("", path.stem)
    name = wanted or re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64] or "model"
    file_name = re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem).strip("-._")[:190] or "model"
    _refuse_false_name(path, found, name)
    return _Place(name, f"{file_name}.gguf", Expected(), known=False, note="unverified: not in the catalog")


def _refuse_false_name(path: Path, found: Expected, name: str) -> None:
    """A name of the catalog stands for its files: another file under it would be taken for one of them."""
    try:
        manifest = find_manifest(name)
    except ModelNotFound:
        return
    if all(file.sha256 for file in manifest.files):
        raise ModelFileInvalid(
            f"{path.name} is no file of {name}: sha256 {found.sha256}, "
            f"expected {' or '.join(file.sha256 for file in manifest.files)}",
            hint="import it under a name of its own: name=",
            path=str(path),
            found=found.sha256,
        )
