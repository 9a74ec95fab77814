"""Tests on the real default models. They are required, never skipped: scripts/test.sh has fetched them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.catalog import locate
from edge_runtime.errors import ModelNotFound


def _find(name: str) -> Path | ModelNotFound:
    try:
        return locate(name).path.resolve()
    except ModelNotFound as error:
        return error


# Now, while HOME is still the user's: the user_folder fixture moves it for each test.
_FOUND = {name: _find(name) for name in ("smollm2-135m-instruct", "gemma-3-270m")}


def _path_of(name: str) -> Path:
    found = _FOUND[name]
    if isinstance(found, ModelNotFound):
        pytest.fail(f"{found}; {found.hint}")
    return found


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    return _path_of("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def gemma_path() -> Path:
    """Gemma 3 270M: a base model, with Gemma's 262,144 tokens and sliding window."""
    return _path_of("gemma-3-270m")


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def probed_once(user_folder: Path, shared_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the crash guard has found is remembered from one test to the next, as it is for a user."""
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(shared_store))
