"""Loading the native library, its log, and what it says about itself."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...errors import EngineUnavailable

_LOG_LINES_KEPT = 20
_log_lines: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
# 1000 turns cost nothing on an idle machine, against the default of 300,000; beside two or four
# busy processes on two cores, decoding is two to four times faster (scripts/bench.sh contention).
_SPIN_COUNT = "1000"
_WORTH_KEEPING = (3, 4)  # warnings and errors; source: enum ggml_log_level
_LOADING = threading.Lock()  # while the binding is imported; two at once take each other's stand-in away
_DEVICE_KINDS = {0: "cpu", 1: "gpu", 2: "integrated gpu", 3: "accelerator"}


@dataclass(frozen=True)
class DeviceInfo:
    name: str
    description: str
    kind: str
    memory_free_bytes: int
    memory_total_bytes: int


@dataclass(frozen=True)
class LibraryInfo:
    version: str  # of llama-cpp-python
    llama_version: str  # of llama.cpp inside it
    library_path: str
    build_flags: str  # "CPU : SSE3 = 1 | AVX2 = 1 | ..."
    devices: tuple[DeviceInfo, ...]
    supports_gpu_offload: bool
    supports_mmap: bool
    supports_mlock: bool


def native() -> Any:
    """The binding's low-level module, loaded once a process, whichever threads ask for it.

    Raises EngineUnavailable when it is not installed or its library does not load.
    """
    with _LOADING:  # or two threads that begin at once would both load it
        return _load()


@lru_cache(maxsize=1)
def _load() -> Any:
    # Without this an abort in llama.cpp starts gdb on the process, for minutes.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    # GNU OpenMP's threads spin at every barrier, hundreds of times a token. Let them sleep sooner.
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    try:
        library = _import_inside("llama_cpp", "llama_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailable(
            f"llama-cpp-python does not load: {error}",
            hint="run scripts/setup.sh, which builds it for this machine; `edge-runtime doctor` says more",
        ) from error
    library.llama_log_set(_log_callback(library), ctypes.c_void_p())
    library.llama_backend_init()
    return library


def _import_inside(package: str, module: str) -> Any:
    """Import package.module without running the package's own __init__.

    It would import the high-level API with its chat formats and disk cache:
    11 MB and 0.12 s (x86-64, Python 3.11) that nothing here uses. A program that
    imports llama_cpp itself, before or after, still gets the whole package.
    """
    if package in sys.modules:
        return importlib.import_module(f"{package}.{module}")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"no module named {package}")
    stand_in = types.ModuleType(package)
    stand_in.__path__ = list(spec.submodule_search_locations)
    stand_in.__spec__ = spec
    sys.modules[package] = stand_in
    try:
        return importlib.import_module(f"{package}.{module}")
    finally:
        del sys.modules[package]


@lru_cache(maxsize=1)
def _log_callback(library: Any) -> Any:
    """Kept alive by the cache: llama.cpp calls it for as long as the process lives."""

    def keep(level: int, text: bytes, _user: object) -> None:
        line = text.decode("utf-8", errors="replace").rstrip()
        if line and level in _WORTH_KEEPING:
            _log_lines.append(line)

    return library.llama_log_callback(keep)


@contextmanager
def listening_to_log(hear: Callable[[int, str], None]) -> Iterator[None]:
    """Hand `hear` ggml's level and text of all that this thread's calls log; other threads' is kept
    as always. Raises EngineUnavailable."""
    library = native()
    kept, this_thread = _log_callback(library), threading.get_ident()

    def share(level: int, text: bytes, user: object) -> None:
        if threading.get_ident() == this_thread:
            hear(level, text.decode("utf-8", errors="replace"))
        else:
            kept(level, text, user)

    callback = library.llama_log_callback(share)
    library.llama_log_set(callback, ctypes.c_void_p())
    try:
        yield
    finally:
        library.llama_log_set(kept, ctypes.c_void_p())


def last_log_lines(count: int = 6) -> tuple[str, ...]:
    """Its last warnings and errors; for our messages."""
    return tuple(_log_lines)[-count:]


def library_version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and rarely needed

    try:
        return version("llama-cpp-python")
    except PackageNotFoundError:
        return "unknown"


def supports_gpu() -> bool:
    """Whether this build can give layers to a GPU that is here."""
    return bool(native().llama_supports_gpu_offload())


def library_info() -> LibraryInfo:
    """Raises EngineUnavailable."""
    library = native()
    return LibraryInfo(
        version=library_version(),
        llama_version=library.llama_version().decode(),
        library_path=library._lib._name,
        build_flags=library.llama_print_system_info().decode().strip(" |"),
        devices=tuple(_devices(library._lib)),
        supports_gpu_offload=bool(library.llama_supports_gpu_offload()),
        supports_mmap=bool(library.llama_supports_mmap()),
        supports_mlock=bool(library.llama_supports_mlock()),
    )


def _devices(library: ctypes.CDLL) -> list[DeviceInfo]:
    """The compute devices ggml knows. Source: ggml/include/ggml-backend.h."""
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    count = ctypes.CFUNCTYPE(size)(("ggml_backend_dev_count", library))
    get = ctypes.CFUNCTYPE(pointer, size)(("ggml_backend_dev_get", library))
    name = ctypes.CFUNCTYPE(text, pointer)(("ggml_backend_dev_name", library))
    description = ctypes.CFUNCTYPE(text, pointer)(("ggml_backend_dev_description", library))
    kind = ctypes.CFUNCTYPE(ctypes.c_int, pointer)(("ggml_backend_dev_type", library))
    memory = ctypes.CFUNCTYPE(None, pointer, ctypes.POINTER(size), ctypes.POINTER(size))(
        ("ggml_backend_dev_memory", library)
    )
    found = []
    for device in (get(index) for index in range(count())):
        free_bytes, total_bytes = size(), size()
        memory(device, ctypes.byref(free_bytes), ctypes.byref(total_bytes))
        found.append(
            DeviceInfo(
                name=name(device).decode(errors="replace"),
                description=description(device).decode(errors="replace"),
                kind=_DEVICE_KINDS.get(kind(device), "other"),
                memory_free_bytes=free_bytes.value,
                memory_total_bytes=total_bytes.value,
            )
        )
    return found
