"""Model files from a folder or a USB stick. Opens no connection."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...device.folders import store_folder
from ...errors import EdgeRuntimeError, ModelFileInvalid, ModelNotFound, StorageFull
from ...values.files import BLOCK_BYTES, is_dir, is_file, reading
from ...values.progress import QUIET, Progress
from ..catalog import find_manifest, known_files, split_name
from ..manifest import Manifest, ModelFile
from ..model_lock import lock_model
from ..store import FileRecord, model_file, remove_file, require_room
from .import_names import model_name, refuse_replacing, stored_file_name
from .import_source import FileSet, check_set, files_like, gguf_sets
from .partial_file import Expected, PartialFile, expected_of

_INCOMING = "incoming"


@dataclass(frozen=True)
class Imported:
    name: str
    path: Path
    record: FileRecord
    known: bool  # whether it is a file of the catalog
    note: str  # "" or what a person should know about it


@dataclass(frozen=True)
class Skipped:
    """A file of a folder that was not imported, and the reason."""

    path: Path
    error: EdgeRuntimeError


@dataclass(frozen=True)
class ImportReport:
    imported: tuple[Imported, ...]
    skipped: tuple[Skipped, ...]  # always empty for a single file


@dataclass(frozen=True)
class _Place:
    name: str
    file_name: str
    expected: Expected
    known: bool
    note: str = ""


def import_path(path: Path, name: str = "", progress: Progress = QUIET) -> ImportReport:
    """Copy a GGUF file, or every one in a folder, into the store, hashing it on the way.

    A file of the catalog is recognized by size and SHA-256 or, where its manifest
    has no hash, by its name. Others are kept under `name`, or under their own. Of a split
    set all files are copied, or none. Files that could not be loaded are not copied: of a
    folder they are reported, and the others imported.

    Raises ModelNotFound when there is no GGUF file; for a single file also ModelFileInvalid
    and ModelUnsupported for one that could not be loaded, and OptionInvalid when it would
    take another model's place.
    """
    sets = gguf_sets(path)
    imported: list[Imported] = []
    skipped: list[Skipped] = []
    with lock_model(_INCOMING, lambda: progress.say("another import is at work; waiting")):
        for paths in sets:
            try:
                imported += _import_set(paths, name, progress)
            except StorageFull:
                raise
            except EdgeRuntimeError as error:
                if not is_dir(path):
                    raise
                skipped.append(Skipped(paths[0], error))
    return ImportReport(tuple(imported), tuple(skipped))


def find_copy(path: Path, file: ModelFile) -> Path:
    """The file for `file` at `path`, a file or a folder. Raises ModelNotFound."""
    if is_file(path):
        return path
    candidates = [found for found in files_like(path, Path(file.file_name).suffix) if is_file(found)]
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


def _import_set(paths: FileSet, wanted_name: str, progress: Progress) -> list[Imported]:
    check_set(paths)
    imported: list[Imported] = []
    try:
        for path in paths:
            imported.append(_import_file(path, wanted_name, progress))
    except BaseException:
        for part in imported:  # a model that lacks a part is of no use
            remove_file(part.path)
        raise
    return imported


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
                if not place.expected.sha256:
                    refuse_replacing(
                        path,
                        place.name,
                        place.file_name,
                        partial.found.sha256,
                        was_wanted=bool(wanted_name) or place.known,
                    )
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
    name = wanted or model_name(path)
    _refuse_false_name(path, found, name)
    note = "unverified: not in the catalog"
    return _Place(name, stored_file_name(path), Expected(), known=False, note=note)


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
