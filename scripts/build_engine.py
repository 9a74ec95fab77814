"""Builds the llama-cpp-python wheel for this machine and keeps it for the next time.

pip's own wheel cache does not look at build flags: a wheel once built with others would
come back. This one is keyed by version, flags, processor and compiler:

    ~/.cache/edge-runtime/engine/0.3.36-cpu-native-<request>-<compiler>/llama_cpp_python-...whl

The Python version does not matter: the wheel holds no extension module (py3-none-PLATFORM).
Standard library only, as it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from build_cuda import cuda_architectures, cuda_definitions, cuda_environment, cuda_key, nvcc_version
from build_progress import BuildProgress
from build_tools import SetUpError, compiler_digest, short_digest

ROOT = Path(__file__).resolve().parent.parent
ENGINE_CMAKE = ROOT / "scripts" / "engine.cmake"
BACKENDS = ("cpu", "vulkan", "metal", "cuda")
_NEEDED_BYTES = 10**9  # archive, source, objects and wheel: 0.4 GB measured; and slack
_JOB_BYTES = 500 * 2**20  # what one compiler takes at its worst: 443 MiB measured with GCC 12
_CUDA_JOB_BYTES = 2**30  # mmq-instance-q4_k.cu: 571 MiB measured with nvcc 13.0; and slack
_ENVIRONMENT = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "CMAKE_ARGS")  # what else shapes a build


@dataclass(frozen=True)
class EngineRequest:
    version: str
    backend: str
    portable: bool

    @property
    def label(self) -> str:
        return f"{self.version}-{self.backend}-{'portable' if self.portable else 'native'}"

    def digest(self) -> str:
        """Everything but the compiler that decides what the wheel contains."""
        parts = [self.label, ENGINE_CMAKE.read_text(), sysconfig.get_platform()]
        parts += [f"{name}={os.environ.get(name, '')}" for name in _ENVIRONMENT]
        parts += [] if self.portable else [_cpu_fingerprint()]
        parts += cuda_key(self.portable) if self.backend == "cuda" else []
        return short_digest(parts)


def engine_request() -> EngineRequest:
    """What pyproject.toml and the environment ask for. Raises SetUpError."""
    return EngineRequest(_pinned_version(), _wanted_backend(), bool(os.environ.get("EDGE_RUNTIME_PORTABLE")))


def _pinned_version() -> str:
    found = re.search(r'"llama-cpp-python==([^"\s;]+)"', (ROOT / "pyproject.toml").read_text())
    if found is None:
        raise SetUpError("pyproject.toml does not pin llama-cpp-python to one version")
    return found[1]


def _wanted_backend() -> str:
    """EDGE_RUNTIME_BACKEND; not given: metal on Apple silicon, cpu elsewhere."""
    macos = platform.system() == "Darwin"
    apple_silicon = macos and platform.machine() == "arm64"
    backend = os.environ.get("EDGE_RUNTIME_BACKEND") or ("metal" if apple_silicon else "cpu")
    if backend not in BACKENDS:
        raise SetUpError(f"EDGE_RUNTIME_BACKEND={backend}: choose one of {', '.join(BACKENDS)}")
    if backend == ("cuda" if macos else "metal"):
        raise SetUpError(f"EDGE_RUNTIME_BACKEND={backend}: {platform.system()} has none; choose another")
    return backend


def engine_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "edge-runtime" / "engine"


def find_wheel(request: EngineRequest) -> Path | None:
    """The finished wheel for this request. Without a compiler, one that any compiler made."""
    pattern = f"{request.label}-{request.digest()}-{_compilers_digest(request) or '*'}/*.whl"
    found = sorted(engine_cache().glob(pattern), key=lambda wheel: wheel.stat().st_mtime)
    return found[-1] if found else None


def _compilers_digest(request: EngineRequest) -> str | None:
    """None when one is missing."""
    digest = compiler_digest()
    if request.backend != "cuda" or digest is None:
        return digest
    nvcc = nvcc_version()
    return nvcc and short_digest([digest, nvcc])


def build_wheel(request: EngineRequest, python: Path) -> Path:
    """Build with `python -m pip`, or wait for another build of the same and take that.

    Nothing unfinished ever has its final name. Raises SetUpError.
    """
    if request.backend == "cuda" and cuda_architectures(request.portable) is None:
        raise SetUpError(
            "no NVIDIA GPU can be seen here to build for; name its compute capability, "
            "such as CUDAARCHS=87 for a Jetson Orin, or add --portable"
        )
    cache = engine_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with hold_folder(cache, "another set-up is building an engine; waiting for it"):
        done = find_wheel(request)
        if done is not None:
            return done
        _remove_leftovers(cache)
        _require_disk(cache)
        name = f"{request.label}-{request.digest()}-{_compilers_digest(request)}"
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
        try:
            return _build_in(work, request, python, cache / name)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _build_in(work: Path, request: EngineRequest, python: Path, target: Path) -> Path:
    out, temporary = work / "out", work / "tmp"
    temporary.mkdir()
    log = target.with_name(target.name + ".log")
    requirement = f"llama-cpp-python=={request.version}"
    command = [str(python), "-m", "pip", "wheel", "-v", "--no-cache-dir", "--no-deps"]
    command += ["--progress-bar", "off", "--disable-pip-version-check"]
    command += ["--no-binary", "llama-cpp-python", "--wheel-dir", str(out), requirement]
    progress = BuildProgress(f"engine {request.label}")
    status = _run_logged(command, _build_environment(request, temporary), log, progress)
    wheels = list(out.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        print(_last_lines(log), file=sys.stderr)
        raise SetUpError(f"building {requirement} failed; the whole log is in {log}")
    shutil.rmtree(target, ignore_errors=True)
    out.rename(target)
    return target / wheels[0].name


def _build_environment(request: EngineRequest, temporary: Path) -> dict[str, str]:
    ours = {
        "CMAKE_PROJECT_llama_cpp_INCLUDE": str(ENGINE_CMAKE),
        "EDGE_RUNTIME_BACKEND": request.backend,
        "EDGE_RUNTIME_PORTABLE": "ON" if request.portable else "OFF",
    }
    cuda = request.backend == "cuda"
    ours |= cuda_definitions(request.portable) if cuda else {}
    arguments = [f'"-D{name}={value}"' for name, value in ours.items()]
    return {
        **os.environ,
        **(cuda_environment() if cuda else {}),
        "CMAKE_ARGS": " ".join([*arguments, os.environ.get("CMAKE_ARGS", "")]),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(_parallel_jobs(_CUDA_JOB_BYTES if cuda else _JOB_BYTES)),
        "SKBUILD_WHEEL_EXCLUDE": "lib/**;include/**",  # a second copy, outside the package
        "TMPDIR": str(temporary),  # on disk (/tmp may be RAM), and gone with the work folder
    }


def _run_logged(command: list[str], environment: dict[str, str], log: Path, progress: BuildProgress) -> int:
    """Run in a process group of its own, so that Ctrl-C ends every compiler with it."""
    with (
        log.open("w", encoding="utf-8") as file,
        _end_signals_interrupt(),
        progress,
        _start(command, environment) as process,
    ):
        try:
            for line in process.stdout or ():
                file.write(line)
                progress.see(line)
            return process.wait()
        except BaseException:
            _end_group(process)
            raise


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def _end_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


@contextlib.contextmanager
def _end_signals_interrupt() -> Iterator[None]:
    """Being terminated, or losing the terminal, ends like Ctrl-C: with everything cleaned up."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parallel_jobs(job_bytes: int) -> int:
    """All cores this process may use, as far as memory goes."""
    sys.path.insert(0, str(ROOT))
    from edge_runtime.device.device import read_memory

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usable_bytes = read_memory().usable_bytes
    return cores if usable_bytes is None else max(1, min(cores, usable_bytes // job_bytes))


def _cpu_fingerprint() -> str:
    sys.path.insert(0, str(ROOT))
    from edge_runtime.device.device import cpu_fingerprint

    return cpu_fingerprint()


@contextlib.contextmanager
def hold_folder(folder: Path, waiting: str) -> Iterator[None]:
    """Keep out others that hold the same folder, without leaving a lock file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a network file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers(cache: Path) -> None:
    """What a killed build left. The caller holds the cache, so no build is under way."""
    for folder in cache.glob(".building-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _require_disk(cache: Path) -> None:
    free_bytes = shutil.disk_usage(cache).free
    if free_bytes < _NEEDED_BYTES:
        raise SetUpError(
            f"building llama.cpp needs 1 GB in {cache}, {free_bytes / 1e9:.1f} GB are free; "
            "make room or set XDG_CACHE_HOME"
        )


def _last_lines(log: Path, count: int = 15) -> str:
    """The end of the compiler's output, without the advice pip puts under it."""
    lines = log.read_text(encoding="utf-8").splitlines()
    pips = next((n for n, line in enumerate(lines) if "subprocess-exited-with-error" in line), len(lines))
    return "\n".join(line[:200] for line in lines[max(0, pips - count) : pips])
