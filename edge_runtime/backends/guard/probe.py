"""The crash guard: a child process tries first what could take this process down.

llama.cpp ends the process when one of its assertions fails, and a build can die
on its first instruction that the CPU or the hypervisor does not allow. So a
child goes ahead: once for each build on each CPU (load a tiny model and decode
for real), and once for each file never seen before (its structure, without
reading the weights). What it found is remembered beside the models.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...device.children import run_child
from ...device.device import cpu_fingerprint
from ...device.folders import store_folder
from ...errors import ChildUnavailable, EdgeRuntimeError, EngineUnavailable, ModelLoadFailed
from ...values.display_text import one_line
from ...values.output_file import output_file
from .probe_model import write_probe_model

_TIME_LIMIT_S = 300.0
_FILES_REMEMBERED = 200
_WORDS = 300  # characters of llama.cpp's own that an error repeats


@dataclass(frozen=True)
class ProbeResult:
    """What one build does on this CPU."""

    ok: bool
    use_extra_bufts: bool  # repacked weights; off when they crash here
    detail: str
    tried: bool = True  # False: no child process can be started here


def build_key() -> str:
    """Names the library build and the CPU; changes when either does."""
    import importlib.util

    spec = importlib.util.find_spec("llama_cpp")
    override = os.environ.get("LLAMA_CPP_LIB_PATH")
    home = Path(override) if override else Path((spec.origin if spec else None) or ".").parent / "lib"
    parts = [cpu_fingerprint(), _gpu_driver()]
    for library in sorted(home.glob("*ggml*")) + sorted(home.glob("*llama.*")):
        status = library.stat()
        parts.append(f"{library.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _gpu_driver() -> str:
    """NVIDIA's, for a build that uses it; empty elsewhere."""
    try:
        return Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return ""


def probe_result() -> ProbeResult | None:
    """What is remembered of this build on this CPU; None when it has not been tried."""
    return _result_from(_read_memory()["builds"].get(build_key()))


def run_probe(*, force: bool = False, children: bool | None = None) -> ProbeResult:
    """Load a tiny model and decode a few tokens in a child, unless this build is known already.

    Tries with repacked weights first, then without: on virtualized CPUs with AMX
    a build made with AMX dies at its first matrix product, and only there. Only
    success is remembered: what else went wrong may go right the next time.
    Where no child process can be started (children: see why_no_children()) nothing is
    tried, and the result is what is least likely to crash.

    Raises EngineUnavailable when the trial could not be made or was killed.
    """
    if not force and (known := probe_result()) is not None:
        return known
    try:
        with tempfile.TemporaryDirectory(prefix="edge-runtime-") as folder:
            write_probe_model(model_path := Path(folder) / "probe.gguf")
            result = _try_build(model_path, children)
    except ChildUnavailable as error:
        return _untried(error)
    except OSError as error:
        raise EngineUnavailable(
            f"the engine could not be tried out: no temporary file: {error}",
            hint="make room, or let TMPDIR name a folder that can be written",
        ) from error
    if result.ok:
        _remember("builds", build_key(), asdict(result))
    return result


def _untried(error: ChildUnavailable) -> ProbeResult:
    """AMX is the one repacking that is known to crash, under some hypervisors: off unless tried."""
    from ..llama.library import library_info

    return ProbeResult(True, "AMX_INT8 = 1" not in library_info().build_flags, f"not tried: {error}", False)


def _try_build(model_path: Path, children: bool | None) -> ProbeResult:
    died = ""
    for use_extra_bufts in (True, False):
        task = {"path": str(model_path), "use_extra_bufts": use_extra_bufts, "decode": True}
        outcome = _run_child(task, children)
        if outcome.good:
            detail = "loads and decodes" if use_extra_bufts else f"only without repacked weights ({died})"
            return ProbeResult(True, use_extra_bufts, detail)
        died = outcome.detail
        if not outcome.died:  # llama.cpp refused a sound file
            break
    return ProbeResult(False, False, died)


def guard_file(model_path: Path, use_extra_bufts: bool, *, children: bool | None = None) -> None:
    """Raise ModelLoadFailed when this file ends a child process, or llama.cpp refuses it there.

    The child builds the model's structure and compute graph without reading
    weights: that is where a nonsense number in a header ends in an assertion.
    A file that passed is remembered by path, size and time of change. Where no child
    process can be started (children: see why_no_children()) no file is tried.
    Raises EngineUnavailable when that could not be tried for another reason.
    """
    key = _file_key(model_path)
    if key in _read_memory()["files"]:
        return
    task = {"path": str(model_path), "use_extra_bufts": use_extra_bufts, "decode": False}
    try:
        outcome = _run_child(task, children)
    except ChildUnavailable:
        return
    if not outcome.good:
        raise _cannot_load(model_path, outcome.detail)
    _remember("files", key, True)


def guard_model(model_path: Path, engine: ProbeResult | None = None, *, children: bool | None = None) -> bool:
    """Let a child process go first, with this build and this file; whether weights may be repacked here.

    engine: what run_probe() has said, if it has been asked already.
    children: see why_no_children(); without any, neither is tried.
    Raises EngineUnavailable and ModelLoadFailed.
    """
    result = engine or run_probe(children=children)
    if not result.ok:
        raise EngineUnavailable(
            f"this build of llama.cpp does not run on this CPU: {result.detail}",
            hint="build it for this machine with scripts/setup.sh; `edge-runtime doctor --probe` tries again",
        )
    guard_file(model_path, result.use_extra_bufts, children=children)
    return result.use_extra_bufts


def _cannot_load(model_path: Path, detail: str) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"{model_path}: llama.cpp cannot load it: {detail}",
        hint="damaged, or made for a newer llama.cpp; `edge-runtime verify` checks its bytes",
        path=str(model_path),
        stage="guard",
    )


def _file_key(path: Path) -> str:
    status = path.stat()
    return f"{build_key()} {path.resolve()} {status.st_size} {status.st_mtime_ns}"


@dataclass(frozen=True)
class _Outcome:
    good: bool
    detail: str
    died: bool = False  # of a signal, or of hanging; not that llama.cpp refused


def _run_child(task: Mapping[str, Any], children: bool | None) -> _Outcome:
    """Let a child do what `task` says: see backends/llama/trial.py.

    Raises ChildUnavailable when there is no child, EngineUnavailable when somebody killed it:
    that says nothing about what it tried. The kernel does so where memory is short.
    """
    end = run_child("edge_runtime.backends.llama.trial", task, limit_s=_TIME_LIMIT_S, children=children)
    if end.answer is not None:
        problem = one_line(end.answer["problem"], _WORDS)
        return _Outcome(not problem, problem)
    if end.was_killed:
        raise EngineUnavailable(
            "the engine could not be tried out: its child process was killed, probably for want of memory",
            hint="close other programs or raise the memory limit, then start again",
        )
    return _Outcome(False, end.describe(), died=end.died)


def _memory_path() -> Path:
    return store_folder() / "probe.json"


def _read_memory() -> dict[str, dict[str, Any]]:
    """{"builds": {...}, "files": {...}}; both empty when nothing readable is there."""
    try:
        found = json.loads(_memory_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    kinds = {kind: found.get(kind) if isinstance(found, dict) else None for kind in ("builds", "files")}
    return {kind: entries if isinstance(entries, dict) else {} for kind, entries in kinds.items()}


def _result_from(entry: Any) -> ProbeResult | None:
    try:
        return ProbeResult(bool(entry["ok"]), bool(entry["use_extra_bufts"]), str(entry["detail"]))
    except (TypeError, KeyError):
        return None


def _remember(kind: str, key: str, value: Any) -> None:
    """Write through a temporary name; not being able to only costs the next start a probe."""
    memory = _read_memory()
    entries = memory[kind]
    entries.pop(key, None)
    entries[key] = value
    while len(entries) > _FILES_REMEMBERED:
        entries.pop(next(iter(entries)))
    content = json.dumps(memory).encode()
    with suppress(OSError, EdgeRuntimeError):
        path = _memory_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with output_file(path, len(content), force=True) as file:
            file.write(content)
