"""Files from a folder or a stick: recognized by content, by name, or kept under their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import tiny_model as tiny

from edge_runtime.catalog import store
from edge_runtime.catalog.pulling.local import import_path
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.errors import ModelFileInvalid


def test_file_of_the_catalog_is_recognized_by_its_content(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    (tmp_path / "renamed.gguf").write_bytes(tiny.CONTENT)
    (imported,) = import_path(tmp_path / "renamed.gguf")
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
    (imported,) = import_path(tmp_path / tiny.FILE_NAME)
    assert imported.name == tiny.NAME
    assert "unverified" in imported.note


def test_folder_brings_all_its_models_under_their_own_names(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    (stick / "deep").mkdir(parents=True)
    (stick / "My Model (1).gguf").write_bytes(b"GGUF one")
    (stick / "._My Model (1).gguf").write_bytes(b"left by another system")
    (stick / "deep" / "big-00001-of-00002.gguf").write_bytes(b"GGUF two")
    (stick / "deep" / "big-00002-of-00002.gguf").write_bytes(b"GGUF three")
    (stick / "readme.txt").write_text("nothing")
    imported = import_path(stick)
    assert sorted((item.name, item.path.name) for item in imported) == [
        ("big", "big-00001-of-00002.gguf"),
        ("big", "big-00002-of-00002.gguf"),
        ("my-model-1", "My-Model-1.gguf"),
    ]
    assert all("unverified" in item.note for item in imported)


def test_own_name_is_kept_but_a_catalog_name_needs_the_catalog_s_file(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF other")
    assert import_path(path, "mine")[0].path == store.model_file("mine", "x.gguf")
    with pytest.raises(ModelFileInvalid, match="no file of tiny"):
        import_path(path, "tiny")


def test_what_is_no_gguf_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"PK\3\4")
    with pytest.raises(ModelFileInvalid, match="blob is not a GGUF file"):
        import_path(tmp_path / "blob")
    assert not list((store.store_folder() / "models").glob("*"))


def test_pull_from_a_folder_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_OFFLINE", "1")
    tiny.write_manifest([tiny.HUB_SOURCE])
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    (tmp_path / "renamed.gguf").write_bytes(tiny.CONTENT)
    assert pull(tiny.NAME, from_path=tmp_path).record.sha256 == tiny.SHA256


def test_pull_from_a_damaged_file_leaves_nothing(tmp_path: Path) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    (tmp_path / tiny.FILE_NAME).write_bytes(tiny.CONTENT[:-1])
    with pytest.raises(ModelFileInvalid):
        pull(tiny.NAME, from_path=tmp_path)
    assert tiny.in_store() == []
