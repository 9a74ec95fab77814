"""Files from a folder or a stick: recognized by content, by name, or kept under their own."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny_model as tiny
from support.builders import gguf_bytes
from support.gguf_files import write_split_set

from edge_runtime.catalog import store
from edge_runtime.catalog.catalog import locate
from edge_runtime.catalog.pulling.import_names import model_name, stored_file_name
from edge_runtime.catalog.pulling.local import import_path
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.errors import (
    EdgeRuntimeError,
    ModelFileInvalid,
    ModelNotFound,
    ModelUnsupported,
    OptionInvalid,
)
from edge_runtime.gguf.header import read_header


def small_gguf(name: str, **more: object) -> bytes:
    metadata = {"general.architecture": "llama", "general.name": name, **more}
    return gguf_bytes(metadata, {f"{name}.weight": np.ones(64)})


def stored() -> list[str]:
    folder = store.store_folder() / "models"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.gguf*"))


def test_file_of_the_catalog_is_recognized_by_its_content(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    (tmp_path / "renamed.gguf").write_bytes(tiny.CONTENT)
    (imported,) = import_path(tmp_path / "renamed.gguf").imported
    assert (imported.name, imported.known, imported.note) == (tiny.NAME, True, "")
    assert imported.path.read_bytes() == tiny.CONTENT
    assert tiny.in_store() == tiny.READY
    assert (tmp_path / "renamed.gguf").exists()


def test_damaged_file_of_the_catalog_is_refused(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    path = tmp_path / tiny.FILE_NAME
    path.write_bytes(tiny.CONTENT[:-1] + b"?")
    with pytest.raises(ModelFileInvalid) as caught:
        import_path(path)
    assert caught.value.facts["expected"] == tiny.SHA256
    assert not list(store.store_folder().rglob("*.gguf*"))


def test_without_a_hash_the_name_decides_and_that_is_said(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE], sha256="")
    (tmp_path / tiny.FILE_NAME).write_bytes(tiny.CONTENT)
    (imported,) = import_path(tmp_path / tiny.FILE_NAME).imported
    assert imported.name == tiny.NAME
    assert "unverified" in imported.note


def test_folder_brings_all_its_models_under_their_own_names(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    (stick / "deep").mkdir(parents=True)
    (stick / "My Model (1).gguf").write_bytes(small_gguf("one"))
    (stick / "._My Model (1).gguf").write_bytes(b"left by another system")
    write_split_set(stick / "deep", "big")
    (stick / "readme.txt").write_text("nothing")
    report = import_path(stick)
    imported = report.imported
    assert report.skipped == ()
    assert sorted((item.name, item.path.name) for item in imported) == [
        ("big", "big-00001-of-00002.gguf"),
        ("big", "big-00002-of-00002.gguf"),
        ("my-model-1", "My-Model-1.gguf"),
    ]
    assert all("unverified" in item.note for item in imported)


def test_own_name_is_kept_but_a_catalog_name_needs_the_catalog_s_file(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    path = tmp_path / "x.gguf"
    path.write_bytes(small_gguf("other"))
    assert import_path(path, "mine").imported[0].path == store.model_file("mine", "x.gguf")
    with pytest.raises(ModelFileInvalid, match="no file of tiny"):
        import_path(path, "tiny")


def test_what_is_no_gguf_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"PK\3\4")
    with pytest.raises(ModelFileInvalid, match="blob is damaged at byte 0: expected the letters GGUF"):
        import_path(tmp_path / "blob")
    assert not list((store.store_folder() / "models").glob("*"))


def test_pull_from_a_folder_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_OFFLINE", "1")
    tiny.write_manifest([tiny.HUB_SOURCE])
    (tmp_path / "other.gguf").write_bytes(small_gguf("other"))
    (tmp_path / "broken.gguf").symlink_to("nowhere")
    (tmp_path / "renamed.gguf").write_bytes(tiny.CONTENT)
    assert pull(tiny.NAME, from_path=tmp_path).record.sha256 == tiny.SHA256


def test_pull_from_a_damaged_file_leaves_nothing(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    (tmp_path / tiny.FILE_NAME).write_bytes(tiny.CONTENT[:-1])
    with pytest.raises(ModelFileInvalid):
        pull(tiny.NAME, from_path=tmp_path)
    assert tiny.in_store() == []


# --- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [("名前", "модель"), ("modèle", "modele"), ("модель", "модели"), ("a" * 70 + "1", "a" * 70 + "2")],
)
def test_names_that_plain_letters_cannot_tell_apart_stay_apart(
    tmp_path: Path, first: str, second: str
) -> None:
    for stem in (first, second):
        (tmp_path / f"{stem}.gguf").write_bytes(small_gguf(stem[-10:]))
    report = import_path(tmp_path)
    assert report.skipped == ()
    assert len({imported.name for imported in report.imported}) == 2
    assert [locate(imported.name).path for imported in report.imported] == [
        imported.path for imported in report.imported
    ]


def test_one_text_has_one_name_however_a_system_writes_its_accents() -> None:
    names = {model_name(Path(unicodedata.normalize(form, "modèle 名.gguf"))) for form in ("NFC", "NFD")}
    assert len(names) == 1
    assert names.pop().startswith("modele-")


@given(st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=80))
def test_every_file_name_has_a_place_in_the_store(stem: str) -> None:
    path = Path(f"{stem}.gguf")
    assert store.model_file(model_name(path), stored_file_name(path)).suffix == ".gguf"


def test_another_model_is_never_replaced(tmp_path: Path) -> None:
    for number, name in enumerate(("a b.gguf", "a-b.gguf", "A-b.gguf")):
        (tmp_path / name).write_bytes(small_gguf(f"model {number}"))
    first = import_path(tmp_path / "a b.gguf").imported[0]
    for name in ("a-b.gguf", "A-b.gguf"):
        with pytest.raises(OptionInvalid, match=r"name of another model here, a-b\.gguf") as caught:
            import_path(tmp_path / name)
        assert "name=" in caught.value.hint
    assert first.path.read_bytes() == small_gguf("model 0")
    assert stored() == ["a-b/a-b.gguf", "a-b/a-b.gguf.json"]
    assert import_path(tmp_path / "a-b.gguf", "other").imported[0].name == "other"
    assert import_path(tmp_path / "a b.gguf").imported[0].path == first.path  # the same file once more


# --- files that could not be loaded ------------------------------------------------------------


def _cut(content: bytes) -> bytes:
    return content[:-100]


def _lfs_pointer(content: bytes) -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


def _big_endian(content: bytes) -> bytes:
    return content[:4] + content[4:8][::-1] + content[8:]


def _repeated_token(content: bytes) -> bytes:
    tokens = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a", "b", "a"]}
    return small_gguf("x", **tokens)


@pytest.mark.parametrize(
    ("make", "kind", "told"),
    [
        (_cut, ModelFileInvalid, "where the file ends"),
        (_big_endian, ModelUnsupported, "big-endian"),
        (_repeated_token, ModelFileInvalid, "each token once"),
        (_lfs_pointer, ModelFileInvalid, "expected the letters GGUF"),
    ],
)
def test_what_cannot_be_loaded_is_not_copied(
    tmp_path: Path, make: Callable[[bytes], bytes], kind: type[EdgeRuntimeError], told: str
) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(make(small_gguf("good")))
    with pytest.raises(kind, match=told) as caught:
        import_path(path)
    assert caught.value.hint
    assert ("git lfs pull" in caught.value.hint) == (make is _lfs_pointer)
    assert stored() == []


@pytest.mark.parametrize("given_part", [0, 1])
def test_a_part_brings_its_whole_set_or_nothing(tmp_path: Path, given_part: int) -> None:
    parts = write_split_set(tmp_path, "größe")
    report = import_path(parts[given_part])
    assert [imported.path.name[-20:] for imported in report.imported] == [
        "-00001-of-00002.gguf",
        "-00002-of-00002.gguf",
    ]
    assert len(read_header(locate(report.imported[0].name).path).paths) == 2
    parts[1 - given_part].unlink()
    with pytest.raises(ModelNotFound, match=f"{parts[1 - given_part].name} is missing"):
        import_path(parts[given_part], "other")
    assert not store.model_folder("other").exists()


def test_the_good_files_of_a_folder_are_imported_and_the_others_named(tmp_path: Path) -> None:
    (tmp_path / "good.gguf").write_bytes(small_gguf("good"))
    (tmp_path / "cut.gguf").write_bytes(small_gguf("cut")[:-100])
    (tmp_path / "broken.gguf").symlink_to("nowhere")
    (tmp_path / "loop.gguf").symlink_to("loop.gguf")
    write_split_set(tmp_path, "half")[1].unlink()
    report = import_path(tmp_path)
    assert [imported.name for imported in report.imported] == ["good"]
    assert {skipped.path.name: type(skipped.error) for skipped in report.skipped} == {
        "broken.gguf": ModelNotFound,
        "cut.gguf": ModelFileInvalid,
        "half-00001-of-00002.gguf": ModelNotFound,
        "loop.gguf": ModelNotFound,
    }
    assert stored() == ["good/good.gguf", "good/good.gguf.json"]
