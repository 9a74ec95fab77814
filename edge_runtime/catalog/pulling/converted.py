"""Models that are made on this device, out of files that come from elsewhere.

The files arrive in a hidden folder beside the model's. What is made of them gets the
model's name in one rename, when all of it is there; only then are the files deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ...errors import ConversionError, ModelUnsupported
from ...values.files import hash_file
from ...values.progress import Progress
from ..manifest import Conversion, Manifest, ModelFile
from ..store import (
    CONVERTED,
    FileRecord,
    is_unchanged,
    model_folder,
    read_record,
    remove_staging,
    require_room,
    staging_folder,
    storing,
    write_record,
)
from .one_file import Pulled, check_present, fetch_file
from .partial_file import expected_of, sync_folder

# The format that a manifest names -> its Converter, imported when needed, as it lies above this folder.
CONVERTERS = {"ctranslate2-whisper": "edge_runtime.speech.whisper.making:CONVERTER"}


@dataclass(frozen=True)
class Converter:
    require: Callable[[], None]  # raises one of our errors where something it needs is missing
    convert: Callable[[Path, Path, Progress], None]  # the files in one folder -> results in another


def pull_converted(
    manifest: Manifest, conversion: Conversion, from_path: Path | None, progress: Progress
) -> Pulled:
    """As pull(), which holds the lock."""
    folder = model_folder(manifest.name)
    record = _check_results(folder, conversion, progress)
    if record:
        remove_staging(manifest.name)  # a pull that was killed at its very end has left it
        return Pulled(manifest.name, folder, record, already_here=True)
    converter = _converter(manifest, conversion)
    staging = staging_folder(manifest.name)
    sources = [_fetch(staging, file, from_path, progress) for file in manifest.files]
    made = staging / "made"
    _convert(staging, made, conversion, converter, progress)
    records = [_note(made / name, sources[-1], conversion.revision, progress) for name in conversion.results]
    _take_place(made, folder, staging)
    remove_staging(manifest.name)
    return Pulled(manifest.name, folder, records[0], already_here=False)


def _converter(manifest: Manifest, conversion: Conversion) -> Converter:
    """Ready to work, so that nothing is fetched which cannot be converted."""
    module, _, name = CONVERTERS.get(conversion.format, "").partition(":")
    if not module:
        raise ModelUnsupported(
            f"{manifest.name}: no converter for {conversion.format} is installed",
            hint=f"this version converts {', '.join(sorted(CONVERTERS))}; a newer one may know more",
            name=manifest.name,
            format=conversion.format,
        )
    converter: Converter = getattr(import_module(module), name)
    converter.require()
    return converter


def _check_results(folder: Path, conversion: Conversion, progress: Progress) -> FileRecord | None:
    """A record of what is here and as it was made; None when it has to be made."""
    paths = [folder / name for name in conversion.results]
    if any(_is_older(path, conversion) for path in paths):
        progress.say(f"{folder.name} was made by an older edge-runtime: making it anew")
        return None
    records = [_check_result(path, progress) for path in paths]
    return records[0] if all(records) else None


def _is_older(path: Path, conversion: Conversion) -> bool:
    record = read_record(path)
    return record is not None and record.revision < conversion.revision


def _check_result(path: Path, progress: Progress) -> FileRecord | None:
    record = read_record(path)
    if record is None or not path.is_file() or is_unchanged(path, record):
        return record if path.is_file() else None
    progress.say(f"{path.name} was touched since it was made: checking")
    with progress.bar(path.name, path.stat().st_size, 0) as advance:
        same = hash_file(path, advance) == record.sha256
    if not same:
        return None
    return write_record(path, record.sha256, record.compared_with, record.source, record.revision)


def _fetch(staging: Path, file: ModelFile, from_path: Path | None, progress: Progress) -> FileRecord:
    path = staging / file.file_name
    record = check_present(path, expected_of(file), progress)
    return record or fetch_file(path, file, from_path, progress, keep_wheels=True)


def _convert(
    staging: Path, made: Path, conversion: Conversion, converter: Converter, progress: Progress
) -> None:
    shutil.rmtree(made, ignore_errors=True)  # what an interrupted conversion has left
    require_room(staging, conversion.result_bytes)
    with storing(staging, conversion.result_bytes):
        made.mkdir()
        converter.convert(staging, made, progress)
    missing = sorted({path.name for path in made.iterdir()} ^ set(conversion.results))
    if missing:
        raise ConversionError(
            f"the conversion did not make what its manifest promises: {', '.join(missing)}",
            hint="correct `results` in the manifest",
            path=str(made),
        )


def _note(path: Path, source: FileRecord, revision: int, progress: Progress) -> FileRecord:
    """Written to the disk, and hashed."""
    with storing(path.parent), path.open("rb+") as file:
        os.fsync(file.fileno())
    with progress.bar(path.name, path.stat().st_size, 0) as advance:
        sha256 = hash_file(path, advance)
    compared_with = CONVERTED if source.compared_with else ""
    return write_record(path, sha256, compared_with, f"converted from {source.source}", revision)


def _take_place(made: Path, folder: Path, staging: Path) -> None:
    with storing(folder):
        if folder.exists():
            shutil.rmtree(staging / "replaced", ignore_errors=True)
            folder.replace(staging / "replaced")
        made.replace(folder)
        sync_folder(folder.parent)
