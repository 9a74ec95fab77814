"""Looks at this device for `doctor`: processor, memory, engine, model store, audio.

What loads native code runs in a child process. A library made for another CPU ends
the process that loads it, and that is when a doctor is wanted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog.catalog import DEFAULT_MODEL, find_file
from ..catalog.store import model_folder, stored_names
from ..device.device import read_device
from ..device.folders import store_folder
from ..errors import AudioDeviceUnavailable, EdgeRuntimeError, EngineUnavailable
from ..values.version import __version__
from .doctor import AudioFinding, EngineFinding, Findings, StoredModel, StoreFinding

if TYPE_CHECKING:
    from ..backends.guard.probe import ProbeResult
    from ..backends.llama.library import LibraryInfo

_CHILD_LIMIT_S = 60.0
_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edge_runtime.bench import doctor_findings
print(json.dumps(getattr(doctor_findings, sys.argv[2])()))
"""


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
    )


# --- engine --------------------------------------------------------------------------


def find_engine(*, probe: bool) -> EngineFinding:
    installed_version = _installed_version("llama-cpp-python")
    pinned_version = _pinned_version()
    if not installed_version:
        return EngineFinding("", pinned_version, None, "not installed", None)
    answer, error = _ask_child("describe_library")
    library = _library_from(answer) if answer else None
    if library is None:
        return EngineFinding(installed_version, pinned_version, None, error, None)
    return EngineFinding(installed_version, pinned_version, library, "", _find_probe(again=probe))


def describe_library() -> dict[str, Any]:
    """In the child: library_info, or why there is none."""
    from ..backends.llama.library import library_info

    try:
        return {"found": asdict(library_info()), "error": ""}
    except EdgeRuntimeError as error:
        return {"found": None, "error": str(error)}


def _library_from(found: dict[str, Any]) -> LibraryInfo:
    from ..backends.llama.library import DeviceInfo, LibraryInfo

    devices = tuple(DeviceInfo(**device) for device in found["devices"])
    return LibraryInfo(**{**found, "devices": devices})


def _find_probe(*, again: bool) -> ProbeResult | None:
    from ..backends.guard.probe import ProbeResult, probe_result, run_probe

    if not again:
        return probe_result()
    try:
        return run_probe(force=True)
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
    folder = store_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        default_bytes = find_file(DEFAULT_MODEL)[1].size_bytes
    except EdgeRuntimeError:
        default_bytes = 0
    return StoreFinding(
        folder=folder,
        writable=there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        free_bytes=_free_bytes(there),
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
    answer, error = _ask_child("describe_audio")
    if answer is None:
        return AudioFinding((), (), error)
    return AudioFinding(tuple(answer["inputs"]), tuple(answer["outputs"]), "")


def describe_audio() -> dict[str, Any]:
    """In the child, because PortAudio and ALSA write to stderr as they like."""
    from ..speech.audio import list_devices

    try:
        devices = list_devices()
    except AudioDeviceUnavailable as error:
        return {"found": None, "error": str(error)}
    inputs = [device.name for device in devices if device.input_channels]
    outputs = [device.name for device in devices if device.output_channels]
    return {"found": {"inputs": inputs, "outputs": outputs}, "error": ""}


# --- the child -----------------------------------------------------------------------


def _ask_child(question: str) -> tuple[dict[str, Any] | None, str]:
    """Call one of the functions here in another process: (what it found, "") or (None, why not)."""
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(sys.path), question]
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_CHILD_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    if done.returncode != 0:
        return None, _describe_end(done.returncode, done.stderr.decode(errors="replace"))
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["found"], answer["error"]


def _describe_end(return_code: int, stderr: str) -> str:
    if return_code < 0:
        try:
            return f"it ends the process with {signal.Signals(-return_code).name}"
        except ValueError:
            return f"it ends the process with signal {-return_code}"
    lines = stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {return_code}"
