"""Bringing a model into the store. Only this module and those it calls ever open a connection."""

from __future__ import annotations

import os
from pathlib import Path

from ...values.progress import OnProgress, Progress, progress_of
from ..catalog import find_file
from ..model_lock import lock_model
from ..store import model_file
from .converted import pull_converted
from .one_file import Pulled, check_present, fetch_file
from .partial_file import expected_of

__all__ = ["Pulled", "pull", "pull_shown"]


def pull(
    name: str, *, from_path: str | os.PathLike[str] | None = None, on_progress: OnProgress | None = None
) -> Pulled:
    """Fetch 'NAME' or 'NAME:QUANT' of the catalog from its sources, or from a local file or folder.

    Quick when the file is here and unchanged since its check. An interrupted
    pull keeps what has arrived, and the next one goes on from there. Of two at once,
    the second waits for the first and then finds the file.

    from_path: a file, or a folder with the model's files, that is copied instead; no
    connection is opened. on_progress: called with a ProgressUpdate for every MiB or so and
    for every step, in the calling thread; what it raises ends the pull, as an interruption does.

    Raises ModelNotFound, ModelDownloadFailed, ModelFileInvalid (nothing usable is
    left), ModelUnsupported, StorageFull, NetworkNotAllowed, EngineUnavailable or ConversionError.
    """
    return pull_shown(name, None if from_path is None else Path(from_path), progress_of(on_progress))


def pull_shown(name: str, from_path: Path | None, progress: Progress) -> Pulled:
    """As pull(), with bars and lines of any kind."""
    manifest, file = find_file(name)
    with lock_model(manifest.name, lambda: progress.say(f"another process is at {manifest.name}; waiting")):
        if manifest.conversion:
            return pull_converted(manifest, manifest.conversion, from_path, progress)
        path = model_file(manifest.name, file.file_name)
        record = check_present(path, expected_of(file), progress)
        if record:
            return Pulled(manifest.name, path, record, already_here=True)
        record = fetch_file(path, file, from_path, progress)
    return Pulled(manifest.name, path, record, already_here=False)
