"""Every test runs in an empty user folder, with no way out of the machine."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

# A shell starts its background jobs with Ctrl-C ignored, and children inherit that: the tests
# that send it would wait for ever. With a handler set here, children begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)

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
