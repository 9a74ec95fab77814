"""CTranslate2 folders, as far as they are judged before faster-whisper is asked; it need not be installed."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import pytest
from support import tiny_whisper

from edge_runtime.errors import EngineUnavailable, ModelFileInvalid, ModelNotFound
from edge_runtime.speech.whisper import open_recognizer, weight_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tiny_whisper.write_folder(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def without_faster_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)


@pytest.mark.usefixtures("without_faster_whisper")
def test_without_faster_whisper_the_error_says_what_to_do(folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="CTranslate2 model") as caught:
        open_recognizer(folder)
    assert str(folder) in str(caught.value)
    assert 'pip install "edge-runtime[speech,faster-whisper]"' in caught.value.hint
    assert "edge-runtime models pull whisper-base" in caught.value.hint


def test_nothing_is_fetched_for_a_folder_without_its_tokenizer(
    folder: Path, no_network: list[object]
) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        open_recognizer(folder)
    assert no_network == []


@pytest.mark.parametrize(
    ("position", "data", "message"),
    [
        (0, b"GGUF", "begins with"),
        (6, b"x", "expected 'WhisperSpec'"),
        (-200, None, "cut short"),
        (22, struct.pack("<I", 1 << 30), "variables"),
    ],
    ids=["magic", "specification", "cut", "count"],
)
def test_a_damaged_file_is_refused(folder: Path, position: int, data: bytes | None, message: str) -> None:
    path = folder / "model.bin"
    content = bytearray(path.read_bytes())
    content[position:] = b"" if data is None else data + content[position + len(data) :]
    path.write_bytes(content)
    with pytest.raises(ModelFileInvalid, match=message) as caught:
        open_recognizer(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        *({"alignment_heads": heads} for heads in ([[2, 0]], [[0, 2]], [[-1, 0]], [[0]], [], "x", None)),
        {"lang_ids": [tiny_whisper.VOCABULARY]},
        {"suppress_ids_begin": [-2]},
        {"lang_ids": "all"},
    ],
    ids=str,
)
def test_settings_of_another_model_are_refused(folder: Path, settings: dict[str, object]) -> None:
    """CTranslate2 would look them up outside its tables, which has killed the process."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    with pytest.raises(ModelFileInvalid, match=next(iter(settings))):
        open_recognizer(folder)


def test_a_vocabulary_of_another_model_is_refused(folder: Path) -> None:
    spellings = tiny_whisper.vocabulary()
    (folder / "vocabulary.txt").write_text("\n".join([*spellings[:50], "more", *spellings[50:]]) + "\n")
    with pytest.raises(ModelFileInvalid, match=f"{len(spellings) + 1} tokens"):
        open_recognizer(folder)


def test_its_weights_are_those_of_the_file(folder: Path) -> None:
    assert weight_bytes(folder) == (folder / "model.bin").stat().st_size
