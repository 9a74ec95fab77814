"""Looks at this device for `doctor`: processor, memory, engine, model store, audio.

What loads native code is asked of a child process: see doctor_child.py.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog.catalog import DEFAULT_MODEL, find_file
from ..catalog.store import model_folder, stored_names
from ..device.children import children_allowed
from ..device.device import read_device
from ..device.folders import store_folder_or_none
from ..errors import EdgeRuntimeError, EngineUnavailable
from ..values.version import __version__
from .doctor import AudioFinding, EngineFinding, Findings, StoredModel, StoreFinding
from .doctor_child import ask, find_no_children

if TYPE_CHECKING:
    from ..backends.guard.probe import ProbeResult
    from ..backends.llama.library import LibraryInfo


def gather_findings(*, probe: bool = False) -> Findings:
    """Everything `doctor` reports. With `probe`, try the engine out once more."""
    store = find_store()
    return Findings(
        version=__version__,
        python_version=sys.version.split()[0],
        device=read_device(),
        engine=find_engine(probe=probe),
        store=store,
        audio=find_audio(),
        no_children=find_no_children(),
    )


# --- engine --------------------------------------------------------------------------


def find_engine(*, probe: bool) -> EngineFinding:
    installed_version = _installed_version("llama-cpp-python")
    pinned_version = _pinned_version()
    if not installed_version:
        return EngineFinding("", pinned_version, None, "not installed", None)
    answer, error = ask("library")
    library = _library_from(answer) if answer else None
    if library is None:
        return EngineFinding(installed_version, pinned_version, None, error, None)
    return EngineFinding(installed_version, pinned_version, library, "", _find_probe(again=probe))


def _library_from(found: dict[str, Any]) -> LibraryInfo:
    from ..backends.llama.library import DeviceInfo, LibraryInfo

    devices = tuple(DeviceInfo(**device) for device in found["devices"])
    return LibraryInfo(**{**found, "devices": devices})


def _find_probe(*, again: bool) -> ProbeResult | None:
    from ..backends.guard.probe import ProbeResult, probe_result, run_probe

    if not again and children_allowed():
        return probe_result()
    try:
        return run_probe(force=again)
    except EngineUnavailable as error:
        return ProbeResult(False, False, str(error))


def _installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _pinned_version() -> str:
    try:
        requirements = requires("edge-runtime") or []
    except PackageNotFoundError:  # a source folder that nobody installed
        return ""
    found = re.search(r"llama[-_]cpp[-_]python==([\w.]+)", " ".join(requirements))
    return found[1] if found else ""


# --- model store ---------------------------------------------------------------------


def find_store() -> StoreFinding:
    folder = store_folder_or_none()
    there = None if folder is None else next(p for p in (folder, *folder.parents) if p.exists())
    try:
        default_bytes = find_file(DEFAULT_MODEL)[1].size_bytes
    except EdgeRuntimeError:
        default_bytes = 0
    return StoreFinding(
        folder=folder,
        writable=there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        free_bytes=None if there is None else _free_bytes(there),
        models=tuple(_stored_models()),
        default_model=DEFAULT_MODEL,
        default_model_bytes=default_bytes,
    )


def _stored_models() -> list[StoredModel]:
    sizes = {
        name: sum(path.stat().st_size for path in model_folder(name).glob("*.gguf"))
        for name in stored_names()
    }
    return [StoredModel(name, size_bytes) for name, size_bytes in sizes.items() if size_bytes]


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


# --- audio ---------------------------------------------------------------------------


def find_audio() -> AudioFinding:
    answer, error = ask("audio")
    if answer is None:
        return AudioFinding((), (), error)
    return AudioFinding(tuple(answer["inputs"]), tuple(answer["outputs"]), "")
