"""The list of known and stored models, and the check of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ..device.folders import store_folder
from ..errors import ModelFileInvalid, ModelNotFound, ModelUnsupported
from ..values.files import hash_file
from ..values.progress import QUIET, OnProgress, Progress, progress_of
from .catalog import (
    Manifest,
    ModelFile,
    ModelKind,
    find_file,
    find_manifest,
    find_model,
    known_files,
    list_models,
    locate,
    split_name,
    stored_path,
)
from .model_lock import lock_model
from .store import (
    FileRecord,
    FileState,
    arrived_bytes,
    file_state,
    is_unchanged,
    model_file,
    model_folder,
    read_record,
    record_path,
    remove_file,
    remove_model,
    staged_bytes,
    stored_names,
    write_record,
)


@dataclass(frozen=True)
class ModelEntry:
    """One file of one model, of the catalog or imported; a converted model is one entry.

    Its `name` opens it (by `kind`: "chat" with Runtime.open, "speech" with SpeechRuntime.open), pulls it
    and removes it. `kind` and `state` are enums that compare equal to their text.
    """

    name: str  # NAME, or NAME:QUANT for any but the first file
    path: Path  # where it is, or will be
    state: FileState
    size_bytes: int  # 0: not known
    arrived_bytes: int  # of a partial file
    manifest: Manifest | None
    file: ModelFile | None
    record: FileRecord | None

    @property
    def good_for(self) -> str:
        return self.manifest.good_for if self.manifest else "imported"

    @property
    def description(self) -> str:
        """Sentences for a person; "" for an imported file."""
        return self.manifest.description if self.manifest else ""

    @property
    def licence(self) -> str:
        return self.manifest.licence if self.manifest else "?"

    @property
    def kind(self) -> ModelKind:
        return self.manifest.kind if self.manifest else ModelKind.CHAT

    @property
    def has_hash(self) -> bool:
        return self.file is None or bool(self.file.sha256)

    def _is_unchanged(self) -> bool:
        if self.file is None and self.manifest:  # a folder
            return self.state is FileState.READY
        return is_unchanged(self.path, self.record)

    def as_json(self) -> dict[str, Any]:
        manifest, file = self.manifest, self.file
        about = {} if manifest is None else {
            "title": manifest.title,
            "architecture": manifest.architecture,
            "description": manifest.description,
            "licence_url": manifest.licence_url,
            "context_tokens": manifest.context_tokens,
        }  # fmt: skip
        return {
            "name": self.name,
            "kind": self.kind.value,
            "state": self.state.value,
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "arrived_bytes": self.arrived_bytes,
            "quantization": file.quantization if file else "",
            "sha256": file.sha256 if file else "",
            "licence": self.licence,
            "good_for": self.good_for,
            "verified": asdict(self.record) if self.record and self._is_unchanged() else None,
            **about,
        }


class Verdict(str, Enum):
    SAME = "ok"  # the sha256 that it must have, or had when it came
    FIRST = "noted"  # there was nothing to compare with; now there is
    DIFFERENT = "DIFFERENT"


@dataclass(frozen=True)
class Verified:
    name: str
    path: Path
    verdict: Verdict
    sha256: str
    expected_sha256: str
    expected_from: str  # "manifest", "record" or ""
    before: FileRecord | None
    was_unchanged: bool  # whether size and time of change were still those of `before`

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path), "verdict": self.verdict.value}


def models() -> tuple[ModelEntry, ...]:
    """Every file of every model of the catalog, then the imported files.

    Of imported files the headers are read. Hashes nothing, opens no connection.

    Raises ModelFileInvalid for a manifest of the user's own that is damaged.
    """
    known = [entry for manifest in list_models() for entry in _known_entries(manifest)]
    paths = {path for manifest in list_models() for path in _known_paths(manifest.name)}
    own = [_own_entry(path) for path in _stored_files() if path not in paths]
    return (*known, *own)


def _known_entries(manifest: Manifest) -> list[ModelEntry]:
    if manifest.conversion:
        return [_converted_entry(manifest)]
    return [_known_entry(manifest, file) for file in manifest.files]


def _converted_entry(manifest: Manifest) -> ModelEntry:
    assert manifest.conversion is not None
    folder = model_folder(manifest.name)
    here = [path for path in _result_paths(manifest) if path.is_file()]
    records = [read_record(path) for path in here]
    unchanged = all(is_unchanged(path, record) for path, record in zip(here, records, strict=True))
    arrived = staged_bytes(manifest.name)
    if stored_path(manifest):
        state = FileState.READY if unchanged else FileState.UNVERIFIED
    else:
        state = FileState.PARTIAL if arrived else FileState.ABSENT
    size_bytes = sum(path.stat().st_size for path in here) if stored_path(manifest) else 0
    return ModelEntry(
        name=manifest.name,
        path=folder,
        state=state,
        size_bytes=size_bytes or manifest.conversion.result_bytes,
        arrived_bytes=arrived if state is FileState.PARTIAL else 0,
        manifest=manifest,
        file=None,
        record=records[0] if records else None,
    )


def _result_paths(manifest: Manifest) -> list[Path]:
    results = manifest.conversion.results if manifest.conversion else ()
    return [model_folder(manifest.name) / name for name in results]


def _known_entry(manifest: Manifest, file: ModelFile) -> ModelEntry:
    path = model_file(manifest.name, file.file_name)
    name = manifest.name if file is manifest.files[0] else f"{manifest.name}:{file.quantization}"
    size_bytes = path.stat().st_size if path.is_file() else file.size_bytes
    return _entry(name, path, size_bytes, manifest, file)


def _own_entry(path: Path) -> ModelEntry:
    entry = _entry(path.parent.name, path, path.stat().st_size, None, None)
    return entry if _is_whole(path) else replace(entry, state=FileState.DAMAGED)


def _is_whole(path: Path) -> bool:
    """Whether all that a file's tables name is there, in it and in the other files of its set."""
    from ..gguf.header import first_of_set, read_header  # imports numpy, which only own files need

    first = first_of_set(path)
    try:
        read_header(first)
    except (ModelFileInvalid, ModelNotFound, ModelUnsupported):
        return False
    return True


def _entry(
    name: str, path: Path, size_bytes: int, manifest: Manifest | None, file: ModelFile | None
) -> ModelEntry:
    state = file_state(path, file.sha256 if file else "")
    return ModelEntry(
        name=name,
        path=path,
        state=state,
        size_bytes=size_bytes,
        arrived_bytes=arrived_bytes(path) if state is FileState.PARTIAL else 0,
        manifest=manifest,
        file=file,
        record=read_record(path),
    )


def _stored_files() -> Iterator[Path]:
    """GGUF files of any name, and what the catalog knows besides."""
    for name in stored_names():
        known = {path for path in _known_paths(name) if path.is_file()}
        here = {path for path in model_folder(name).glob("*.gguf") if path.is_file()}
        yield from sorted(known | here)


def _known_paths(name: str) -> list[Path]:
    try:
        manifest = find_manifest(name)
    except (ModelNotFound, ModelFileInvalid):
        return []
    if manifest.conversion:
        return _result_paths(manifest)
    return [model_file(name, file.file_name) for file in manifest.files]


def stored_files(names: Sequence[str] = ()) -> tuple[Path, ...]:
    """The files of these models, or all that are in the store; a path stands for itself.

    Raises ModelNotFound for a name that is not here.
    """
    return tuple(dict.fromkeys(_chosen(names)) if names else _stored_files())


def verify_hash(path: Path, progress: Progress = QUIET) -> Verified:
    """Hash a file, and compare it with the sha256 of its manifest, or with the one it had when it came.

    A file in the store that differs loses its record, so that it no longer counts as verified; it is
    not deleted. One that had no hash gets its record now.
    """
    known_sha256 = next((file.sha256 for own, file in _known_places() if own == path), "")
    before = read_record(path)
    was_unchanged = is_unchanged(path, before)
    expected = known_sha256 or (before.sha256 if before else "")
    with progress.bar(path.name, path.stat().st_size, 0) as advance:
        found = hash_file(path, advance)
    verdict = Verdict.FIRST if not expected else Verdict.SAME if found == expected else Verdict.DIFFERENT
    if is_stored(path):
        _note(path, found, verdict, known_sha256, before)
    expected_from = "manifest" if known_sha256 else "record" if expected else ""
    return Verified(path.parent.name, path, verdict, found, expected, expected_from, before, was_unchanged)


def is_stored(path: Path) -> bool:
    return path.is_relative_to(store_folder())


def _known_places() -> Iterator[tuple[Path, ModelFile]]:
    return ((model_file(manifest.name, file.file_name), file) for manifest, file in known_files())


def _chosen(names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        head, quantization = split_name(name)
        here = [] if quantization else [path for path in _stored_files() if path.parent.name == head]
        yield from here or [find_model(name).path]


def _note(path: Path, sha256: str, verdict: Verdict, known_sha256: str, before: FileRecord | None) -> None:
    if verdict is Verdict.DIFFERENT:
        record_path(path).unlink(missing_ok=True)
        return
    compared_with = "manifest" if known_sha256 else before.compared_with if before else ""
    source, revision = (before.source, before.revision) if before else ("found in the store", 1)
    write_record(path, sha256, compared_with, source, revision)


def remove(name: str, *, on_progress: OnProgress | None = None) -> int:
    """Delete all files of NAME, or one with NAME:QUANT, arrived or not, and return the bytes freed.

    on_progress: called only while another process holds the model.

    Raises ModelNotFound when there is nothing to delete, OptionInvalid for what cannot be a name.
    """
    return remove_shown(name, progress_of(on_progress))


def remove_shown(name: str, progress: Progress) -> int:
    """As remove(), with a Progress of any kind."""
    head, quantization = split_name(name)
    folder = model_folder(head)
    with lock_model(head, lambda: progress.say(f"another process is at {head}; waiting")):
        freed_bytes = remove_file(_one_file(name)) if quantization else remove_model(head)
    if not freed_bytes:
        raise ModelNotFound(
            f"nothing of {name} is in the store; looked in {folder}",
            hint="`edge-runtime models list` shows what is here",
            looked_in=[str(folder)],
        )
    return freed_bytes


def _one_file(name: str) -> Path:
    try:
        manifest, file = find_file(name)
    except ModelNotFound:
        return locate(name).path
    return model_file(manifest.name, file.file_name)
