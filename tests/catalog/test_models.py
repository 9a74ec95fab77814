"""Models from Python: listed, pulled with progress, removed, without the command line."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import pytest
from support import tiny_model as tiny
from support import tiny_whisper

import edge_runtime
from edge_runtime import ModelEntry, ProgressUpdate
from edge_runtime.catalog.catalog import ModelKind, list_models
from edge_runtime.catalog.pulling.converted import CONVERTERS, Converter
from edge_runtime.catalog.store import FileState, store_folder
from edge_runtime.errors import ModelNotFound

RESULTS = ["encoder.onnx", "encoder.data", "decoder.onnx", "decoder.data", "config.json", "vocabulary.txt"]


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with the tiny model's file, and the manifest that describes it."""
    tiny.write_manifest([tiny.HUB_SOURCE])
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / tiny.FILE_NAME).write_bytes(tiny.CONTENT)
    return folder


def entry(name: str) -> ModelEntry:
    [found] = [entry for entry in edge_runtime.models() if entry.name == name]
    return found


def test_models_are_listed_with_what_an_app_shows(stick: Path) -> None:
    before = entry(tiny.NAME)
    assert (before.state, before.size_bytes) == (FileState.ABSENT, len(tiny.CONTENT))
    assert before.kind is ModelKind.CHAT
    assert before.licence
    assert before.description
    pulled = edge_runtime.pull(tiny.NAME, from_path=str(stick))
    assert entry(tiny.NAME).state is FileState.READY
    assert entry(tiny.NAME).path == pulled.path
    assert entry("whisper-base").kind is ModelKind.SPEECH


def test_a_pull_reports_every_step_and_never_more_than_all(stick: Path) -> None:
    updates: list[ProgressUpdate] = []
    edge_runtime.pull(tiny.NAME, from_path=stick, on_progress=updates.append)
    counted = [update for update in updates if update.unit == "bytes"]
    assert counted[0].done == 0
    assert counted[-1].done == counted[-1].total == len(tiny.CONTENT)
    assert counted[-1].share == 1.0
    assert ProgressUpdate("waiting").share is None


def test_a_callback_that_raises_ends_the_pull(stick: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(update: ProgressUpdate) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        edge_runtime.pull(tiny.NAME, from_path=stick, on_progress=cancel)
    assert entry(tiny.NAME).state is not FileState.READY
    assert not edge_runtime.pull(tiny.NAME, from_path=stick).already_here


def test_remove_frees_what_the_pull_brought(stick: Path) -> None:
    edge_runtime.pull(tiny.NAME, from_path=stick)
    assert edge_runtime.remove(tiny.NAME) >= len(tiny.CONTENT)
    assert entry(tiny.NAME).state is FileState.ABSENT
    with pytest.raises(ModelNotFound):
        edge_runtime.remove(tiny.NAME)


def test_every_format_that_the_catalog_converts_has_its_converter() -> None:
    formats = {manifest.conversion.format for manifest in list_models() if manifest.conversion}
    assert formats
    for name in formats:
        module, _, attribute = CONVERTERS[name].partition(":")
        assert isinstance(getattr(importlib.import_module(module), attribute), Converter)


def test_a_whisper_model_is_converted_without_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the optional package that converts")
    source = tiny_whisper.write_folder(tmp_path / "whisper")
    path = store_folder() / "manifests" / "tiny-speech.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_manifest(source))
    updates: list[ProgressUpdate] = []
    pulled = edge_runtime.pull("tiny-speech", from_path=source, on_progress=updates.append)
    assert {file.name for file in pulled.path.iterdir()} >= set(RESULTS)
    assert "graphs" in {update.unit for update in updates}
    assert entry("tiny-speech").state is FileState.READY


def _manifest(source: Path) -> str:
    files = "".join(
        f"""
[[files]]
file_name = "{file.name}"
size_bytes = {file.stat().st_size}
sha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"
[[files.sources]]
kind = "huggingface"
repository = "nobody/nothing"
path = "{file.name}"
revision = "{"0" * 40}"
"""
        for file in sorted(source.iterdir())
    )
    return f"""
name = "tiny-speech"
kind = "speech"
title = "Tiny"
architecture = "whisper"
description = "For tests."
good_for = "tests"
licence = "MIT"
licence_url = "https://example.org/licence"
[conversion]
format = "ctranslate2-whisper"
result_bytes = 400000
results = {RESULTS}
{files}"""
