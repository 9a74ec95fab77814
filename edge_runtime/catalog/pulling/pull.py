"""Bring a model into the store. Only this module and those it calls ever open a connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ...values.progress import QUIET, Progress
from ..catalog import find_file
from ..model_lock import lock_model
from ..store import model_file
from .converted import Converter, pull_converted
from .one_file import Pulled, check_present, fetch_file
from .partial_file import expected_of

__all__ = ["Converter", "Pulled", "pull"]

_NONE: Mapping[str, Converter] = MappingProxyType({})


def pull(
    name: str,
    from_path: Path | None = None,
    progress: Progress = QUIET,
    converters: Mapping[str, Converter] = _NONE,
) -> Pulled:
    """Fetch 'NAME' or 'NAME:QUANT' from its sources, or from a local file or folder.

    Quick when the file is here and unchanged since its check. An interrupted
    pull keeps what has arrived and goes on from there. Of two at once, the second
    waits for the first and then finds the file. `converters`: by the format that
    a manifest names; without it, a model that has to be converted is refused.

    Raises ModelNotFound, ModelDownloadFailed, ModelFileInvalid (nothing usable is
    left), ModelUnsupported, StorageFull, NetworkNotAllowed or ConversionError.
    """
    manifest, file = find_file(name)
    with lock_model(manifest.name, lambda: progress.say(f"another process is at {manifest.name}; waiting")):
        if manifest.conversion:
            return pull_converted(manifest, manifest.conversion, from_path, progress, converters)
        path = model_file(manifest.name, file.file_name)
        record = check_present(path, expected_of(file), progress)
        if record:
            return Pulled(manifest.name, path, record, already_here=True)
        record = fetch_file(path, file, from_path, progress)
    return Pulled(manifest.name, path, record, already_here=False)
