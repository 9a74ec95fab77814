"""Rules of `doctor`: problems that findings about this device add up to. Pure.

doctor_findings looks; this module judges; the command line prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ..device.cgroup import MemoryLimit
from ..device.children.allowed import VARIABLE as CHILDREN_VARIABLE
from ..device.device import Device
from ..values.units import format_bytes

if TYPE_CHECKING:
    from ..backends.guard.probe import ProbeResult
    from ..backends.llama.library import LibraryInfo

# Beside a small model's weights: Python and libraries (90 MB), KV cache and compute
# buffers at a short context. Our assumption; `plan` works it out for one model.
RUNTIME_BYTES = 150 * 10**6
_LITTLE_DISK_BYTES = 500 * 10**6
_SETUP = "run scripts/setup.sh, which builds it for this machine"

# What llama.cpp calls an instruction set in its build flags -> what `device` calls it.
# Source: ggml/src/ggml-cpu/ggml-cpu.cpp, ggml_backend_cpu_get_features.
_X86_FLAGS = (
    "SSSE3",
    "AVX",
    "AVX2",
    "AVX_VNNI",
    "AVX512_VNNI",
    "AVX512_BF16",
    "F16C",
    "FMA",
    "BMI2",
    "AMX_INT8",
)
_ARM_FLAGS = ("NEON", "DOTPROD", "SVE", "SME")
_FEATURE_OF_FLAG = {flag: flag.lower() for flag in (*_X86_FLAGS, *_ARM_FLAGS)} | {
    "AVX512": "avx512f",
    "AVX512_VBMI": "avx512vbmi",
    "FP16_VA": "fp16",
    "MATMUL_INT8": "i8mm",
}
_WORTH_A_REBUILD = ("AVX2", "DOTPROD")  # each at least doubles the speed


class Part(str, Enum):
    ENGINE = "engine"
    MEMORY = "memory"
    MODEL = "model"
    AUDIO = "audio"


@dataclass(frozen=True)
class Problem:
    part: Part
    blocks: bool  # no model can run until it is solved
    text: str
    hint: str


@dataclass(frozen=True)
class EngineFinding:
    installed_version: str  # of llama-cpp-python; "": not installed
    pinned_version: str  # the one this package is written for; "": not known
    library: LibraryInfo | None
    error: str  # why there is no library
    probe: ProbeResult | None  # None: not tried on this CPU


@dataclass(frozen=True)
class StoredModel:
    name: str
    size_bytes: int


@dataclass(frozen=True)
class StoreFinding:
    folder: Path | None  # None: this user has no place for files
    writable: bool
    free_bytes: int | None
    models: tuple[StoredModel, ...]
    default_model: str
    default_model_bytes: int  # 0: not known


@dataclass(frozen=True)
class AudioFinding:
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    error: str  # why they cannot be listed


@dataclass(frozen=True)
class Findings:
    version: str
    python_version: str
    device: Device
    engine: EngineFinding
    store: StoreFinding
    audio: AudioFinding
    no_children: str = ""  # why no child process can be started; "": one can


def find_problems(findings: Findings) -> tuple[Problem, ...]:
    """Those that block first, each with what to do about it."""
    problems = [
        *_engine_problems(findings.engine, findings.device),
        *_children_problems(findings),
        *_memory_problems(findings.device, findings.store),
        *_store_problems(findings.store),
        *_audio_problems(findings.audio),
    ]
    return tuple(sorted(problems, key=lambda problem: not problem.blocks))


def _engine_problems(engine: EngineFinding, device: Device) -> Iterator[Problem]:
    if not engine.installed_version:
        command = f"pip install llama-cpp-python=={engine.pinned_version}"
        yield Problem(Part.ENGINE, True, "llama-cpp-python is not installed", f"{_SETUP}, or: {command}")
        return
    if engine.pinned_version not in ("", engine.installed_version):
        text = f"llama-cpp-python is {engine.installed_version}, this package needs {engine.pinned_version}"
        yield Problem(Part.ENGINE, True, text, _SETUP)
    if engine.library is None:
        yield Problem(Part.ENGINE, True, f"the engine's library does not load: {engine.error}", _SETUP)
        return
    built_with = _FEATURE_OF_FLAG.keys() & switched_on(engine.library.build_flags)
    yield from _feature_problems(built_with, device)
    yield from _probe_problems(engine.probe, amx="AMX_INT8" in built_with and _has(device, "amx_int8"))


def switched_on(build_flags: str) -> tuple[str, ...]:
    """'CPU : AVX2 = 1 | REPACK = 1' -> ('AVX2', 'REPACK')"""
    pairs = (switch.partition("=") for switch in build_flags.replace(":", "|").split("|"))
    return tuple(name.strip() for name, _, value in pairs if value.strip() == "1")


def _feature_problems(built_with: set[str], device: Device) -> Iterator[Problem]:
    if not device.cpu.features:
        return
    lacking = sorted(flag for flag in built_with if not _has(device, _FEATURE_OF_FLAG[flag]))
    if lacking:
        text = f"the engine was built for a CPU with {', '.join(lacking)}, which this one lacks"
        yield Problem(Part.ENGINE, True, text, f"{_SETUP}; --portable makes one for every CPU")
    unused = [f for f in _WORTH_A_REBUILD if _has(device, _FEATURE_OF_FLAG[f]) and f not in built_with]
    if unused:
        text = f"the engine was built without {', '.join(unused)}, which this CPU has: it runs slowly"
        yield Problem(Part.ENGINE, False, text, _SETUP)


def _has(device: Device, feature: str) -> bool:
    return feature in device.cpu.features


def _probe_problems(probe: ProbeResult | None, *, amx: bool) -> Iterator[Problem]:
    without_amx = "run scripts/setup.sh, which builds it without AMX" if amx else _SETUP
    if probe is None:
        if amx:
            text = "the engine uses AMX, which crashes (ldtilecfg) under some hypervisors; not tried here yet"
            yield Problem(Part.ENGINE, False, text, f"edge-runtime doctor --probe; or {without_amx}")
    elif not probe.tried:
        return  # see _children_problems
    elif not probe.ok:
        text = f"the engine fails on this CPU: {probe.detail}"
        yield Problem(Part.ENGINE, True, text, f"{without_amx}; then edge-runtime doctor --probe")
    elif not probe.use_extra_bufts:
        text = f"repacked weights stay off, prompts are read more slowly: {probe.detail}"
        yield Problem(Part.ENGINE, False, text, without_amx)


def _children_problems(findings: Findings) -> Iterator[Problem]:
    if not findings.no_children:
        return
    text = (
        f"no child process can be started here: {findings.no_children}. No model is tried out before "
        "it is opened: one that makes llama.cpp abort ends the whole program. Memory of an architecture "
        "that is not known is an estimate, and quantizing runs in this process"
    )
    hint = (
        "open only files that `edge-runtime verify NAME` finds unchanged, or that were opened "
        "once where child processes can be started"
    )
    if CHILDREN_VARIABLE in findings.no_children:
        hint = f"unset {CHILDREN_VARIABLE}, or {hint}"
    yield Problem(Part.ENGINE, False, text, hint)


def _memory_problems(device: Device, store: StoreFinding) -> Iterator[Problem]:
    needed_bytes = store.default_model_bytes + RUNTIME_BYTES
    memory = device.memory
    tight = [limit for limit in memory.limits if limit.limit_bytes < needed_bytes]
    need = f"{store.default_model} needs about {format_bytes(needed_bytes)}"
    if tight:
        tightest = min(tight, key=lambda limit: limit.limit_bytes)
        text = f"{tightest.source} allows {format_bytes(tightest.limit_bytes)}; {need}"
        yield Problem(Part.MEMORY, True, text, _raise_limit(tightest))
    elif memory.usable_bytes is not None and memory.usable_bytes < needed_bytes:
        text = f"{format_bytes(memory.usable_bytes)} of memory are free; {need}"
        yield Problem(Part.MEMORY, True, text, "close other programs")


def _raise_limit(limit: MemoryLimit) -> str:
    if limit.source.startswith("RLIMIT"):
        flag = "-v" if limit.source == "RLIMIT_AS" else "-d"
        return f"raise it in the shell that starts edge-runtime: ulimit {flag} unlimited"
    return "raise the container's limit (docker run --memory, MemoryMax= of the systemd unit)"


def _store_problems(store: StoreFinding) -> Iterator[Problem]:
    if store.folder is None:
        text = "EDGE_RUNTIME_HOME is not set, and this user has no home folder to keep models in"
        yield Problem(Part.MODEL, True, text, "set EDGE_RUNTIME_HOME to a folder that you may write to")
        return
    empty = not store.models
    if empty:
        yield Problem(Part.MODEL, True, "no model is here", f"edge-runtime models pull {store.default_model}")
    if not store.writable:
        text = f"the model store {store.folder} cannot be written"
        yield Problem(Part.MODEL, empty, text, "set EDGE_RUNTIME_HOME to a folder that is yours")
    needed_bytes = store.default_model_bytes if empty else 0
    if store.free_bytes is not None and store.free_bytes < max(needed_bytes, _LITTLE_DISK_BYTES):
        text = f"{format_bytes(store.free_bytes)} of disk are free in {store.folder}"
        hint = "make room (edge-runtime models remove NAME), or set EDGE_RUNTIME_HOME to another disk"
        yield Problem(Part.MODEL, store.free_bytes < needed_bytes, text, hint)


def _audio_problems(audio: AudioFinding) -> Iterator[Problem]:
    if not audio.error:
        return
    portaudio = "portaudio" in audio.error.lower()
    install = (
        "sudo apt install libportaudio2 (Debian), or brew install portaudio (macOS)"
        if portaudio
        else "pip install 'edge-runtime[speech]'"
    )
    text = f"microphone and loudspeaker cannot be used: {audio.error}"
    yield Problem(Part.AUDIO, False, text, f"only needed for speech: {install}")
