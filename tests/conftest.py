"""Every test runs in an empty user folder, with no way out of the machine."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from support.builders import tiny_llama_gguf
from support.scripted_backend import Device, MakeRuntime, Script, ScriptedBackend, scripted_runtime
from support.slice_models import Arrays, gemma_3n, weights
from support.tiny_checkpoint import write_llama

from edge_runtime.assistant.history import History
from edge_runtime.runtime.runtime import Runtime

# A shell starts its background jobs with Ctrl-C ignored, and children inherit that: the tests
# that send it would wait for ever. With a handler set here, children begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about what else runs here than about the code.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_report_header() -> str:
    names = ("edge-runtime", "llama-cpp-python", "numpy", "gguf", "huggingface_hub")
    return "versions: " + ", ".join(f"{name} {_version(name)}" for name in names)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME and everything derived from it point into the test's own folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "EDGE_RUNTIME_HOME", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuse every connection that leaves the machine; the list holds what was tried."""
    tried: list[object] = []
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        outside = isinstance(address, tuple) and address[0] not in _LOOPBACK
        if outside:
            tried.append(address)
            raise OSError(f"the test network is closed: {address}")
        real_connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield tried


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A llama of two layers, which llama.cpp can run."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A Hugging Face checkpoint of a tiny llama."""
    return write_llama(tmp_path / "Tiny-Llama")


@pytest.fixture(scope="session")
def e4b_made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gemma_3n(tmp_path_factory.mktemp("once") / "e4b.gguf")


@pytest.fixture
def e4b(e4b_made_once: Path, tmp_path: Path) -> Path:
    """A Gemma 3n with E4B's layers, 64 numbers wide."""
    return Path(shutil.copy(e4b_made_once, tmp_path))


@pytest.fixture(scope="module")
def e4b_weights(e4b_made_once: Path) -> Arrays:
    return weights(e4b_made_once)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "store" / "history.sqlite3") as opened:
        yield opened


@pytest.fixture
def make_runtime(tmp_path: Path) -> Iterator[MakeRuntime]:
    opened: list[Runtime] = []

    def make(scripts: list[Script], context_tokens: int = 4096) -> tuple[Runtime, ScriptedBackend]:
        runtime, backend = scripted_runtime(scripts, tmp_path / "model", context_tokens=context_tokens)
        opened.append(runtime)
        return runtime, backend

    yield make
    for runtime in opened:
        runtime.close()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    stand_in = Device(tmp_path)
    monkeypatch.setattr(Runtime, "open", stand_in.open)
    return stand_in


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))

    return pipe
