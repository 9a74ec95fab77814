"""Tests on the real default models. They are required, never skipped: scripts/test.sh has fetched them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clips import Clip, read_clips

from edge_runtime.catalog.catalog import find_speech_model, find_vad_model, locate
from edge_runtime.errors import ModelNotFound


def _find(look_up: Callable[[str], Path], name: str) -> Path | ModelNotFound:
    try:
        return look_up(name).resolve()
    except ModelNotFound as error:
        return error


# Now, while HOME is still the user's: the user_folder fixture moves it for each test.
_FOUND = {
    "smollm2-135m-instruct": _find(lambda name: locate(name).path, "smollm2-135m-instruct"),
    "gemma-3-270m": _find(lambda name: locate(name).path, "gemma-3-270m"),
    "whisper-base": _find(find_speech_model, "whisper-base"),
    "silero-vad": _find(find_vad_model, "silero-vad"),
}
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_CLIPS = (_CACHE / "edge-runtime" / "speech").resolve()


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
def whisper_path() -> Path:
    """The folder of Whisper base, multilingual, its matrices in 8 bits."""
    return _path_of("whisper-base")


@pytest.fixture(scope="session")
def silero_path() -> Path:
    return _path_of("silero-vad")


@pytest.fixture(scope="session")
def speech_clips() -> list[Clip]:
    """Real speech in five languages, 1 to 27 s each."""
    if not (_CLIPS / "clips.jsonl").is_file():
        pytest.fail(f"{_CLIPS}: no clips.jsonl; scripts/speech_clips.sh fetches it on Debian and Ubuntu")
    return read_clips(_CLIPS)


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def probed_once(user_folder: Path, shared_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the crash guard has found is remembered from one test to the next, as it is for a user."""
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(shared_store))
