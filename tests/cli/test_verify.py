"""`edge-runtime verify`: hashes of the store, contents of files, and when each is checked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import tiny_model as tiny
from support.builders import gguf_bytes, tiny_llama_gguf
from support.gguf_files import write_split_set

from edge_runtime.catalog import store
from edge_runtime.catalog.pulling.local import import_path
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.cli import command_line as cli


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with the tiny model's file, and the manifest that describes it."""
    tiny.write_manifest([tiny.HUB_SOURCE])
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / tiny.FILE_NAME).write_bytes(tiny.CONTENT)
    return folder


def verify(*arguments: str) -> int:
    return cli.main(["verify", *arguments])


def test_verify_hashes_and_tells_whether_the_file_was_touched(
    stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pull(tiny.NAME, from_path=stick).path
    assert verify("--hash-only") == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"ok: tiny, tiny.gguf, sha256 {tiny.SHA256}, as its manifest says; last verified 20"
    )
    assert "unchanged since" in out
    os.utime(path)
    assert verify("--hash-only", "tiny") == 0
    assert "touched since" in capsys.readouterr().out
    assert verify("--hash-only", "tiny", "--json") == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert (file["hash"]["verdict"], file["hash"]["was_unchanged"], file["good"]) == ("ok", True, True)


def test_verify_finds_rot_that_left_size_and_time_alone(
    stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pull(tiny.NAME, from_path=stick).path
    status = path.stat()
    path.write_bytes(tiny.CONTENT[:-1] + b"?")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verify("--hash-only") == 3
    out = capsys.readouterr().out
    assert out.startswith("DIFFERENT: tiny")
    assert f"expected {tiny.SHA256} (manifest)" in out
    assert "models remove tiny" in out
    assert store.file_state(path, tiny.SHA256) is store.FileState.UNVERIFIED


def test_verify_compares_an_imported_file_with_its_first_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.gguf").write_bytes(gguf_bytes({"general.architecture": "llama"}, {"mine": np.ones(8)}))
    assert cli.main(["models", "import", str(tmp_path / "mine.gguf")]) == 0
    assert "unverified: not in the catalog" in capsys.readouterr().out
    path = store.model_file("mine", "mine.gguf")
    assert verify("--hash-only", "mine") == 0
    assert "as its record says" in capsys.readouterr().out
    path.write_bytes(gguf_bytes({"general.architecture": "llama"}, {"mind": np.ones(8)}))
    assert verify("--hash-only", "mine") == 3


def test_verify_of_an_empty_store_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"files": []}
    assert "no model is here" in err


# --- hash and contents -----------------------------------------------------------------------


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """A sound GGUF file in the store."""
    source = tmp_path / "own.gguf"
    source.write_bytes(tiny_llama_gguf())
    [found] = import_path(source).imported
    return found.path


def test_a_model_of_the_store_has_its_hash_and_its_contents_checked(
    imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify("own") == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("ok: own, own.gguf, sha256 ")
    assert last.startswith("own.gguf: good; checked: structure, numbers")
    assert verify("own", "--hash-only") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_rot_and_broken_contents_are_two_findings(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported.write_bytes(imported.read_bytes()[:-64])
    assert verify("--json") == 3
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["hash"]["verdict"] == "DIFFERENT"
    assert file["contents"]["problems"]
    assert not file["good"]


def test_a_file_elsewhere_is_hashed_only_when_asked(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(imported, copy)
    assert verify(str(copy), "--json") == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["hash"] is None
    assert file["contents"]["good"]
    assert verify(str(copy), "--hash-only") == 0
    assert capsys.readouterr().out.endswith("there was nothing to compare with\n")
    assert not copy.with_name("copy.gguf.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own", "--against", "own", "--hash-only"], "--against goes with the contents"),
        (["--against", "own"], "--against goes with one file, and 2 are meant"),
    ],
)
def test_against_goes_with_the_contents_of_one_file(
    arguments: list[str], message: str, imported: Path, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull(tiny.NAME, from_path=stick)
    assert verify(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_speech_model_that_is_not_here_names_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("whisper-base") == 3
    assert "edge-runtime models pull whisper-base" in capsys.readouterr().err


def test_verify_opens_no_connection(imported: Path, no_network: list[object]) -> None:
    assert verify() == 0
    assert no_network == []


def test_models_has_no_verify_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["models", "verify"])
    assert left.value.code == 2


def test_a_split_set_is_checked_once_and_a_missing_part_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = write_split_set(tmp_path, "big")
    stored = [found.path for found in import_path(first).imported]
    assert verify("big", "--json") == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [file["path"] for file in files] == [str(path) for path in stored]
    assert [file["contents"] is None for file in files] == [False, True]
    assert cli.main(["models", "list"]) == 0
    assert "damaged" not in capsys.readouterr().out
    stored[1].unlink()
    assert verify("big") == 3
    assert "big-00002-of-00002.gguf is missing" in capsys.readouterr().out
    assert cli.main(["models", "list"]) == 0
    assert "damaged" in capsys.readouterr().out
