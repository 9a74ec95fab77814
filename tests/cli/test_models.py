"""`edge-runtime models`: what goes to stdout, what to stderr, exit status, and not a single connection."""

from __future__ import annotations

import io
import json
import socket
import sys
from pathlib import Path

import pytest
from support import tiny_model as tiny
from support.builders import gguf_bytes

from edge_runtime.catalog import store
from edge_runtime.catalog.pulling.local import import_path
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.cli import command_line as cli
from edge_runtime.cli.screen import progress_bar
from edge_runtime.cli.screen.progress_bar import ConsoleProgress


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with the tiny model, which the catalog knows."""
    tiny.write_manifest([tiny.HUB_SOURCE])
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / tiny.FILE_NAME).write_bytes(tiny.CONTENT)
    return folder


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        pytest.fail(f"opened a connection: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def models(*arguments: str) -> int:
    return cli.main(["models", *arguments])


def test_list_fits_eighty_columns_and_says_what_is_here(
    stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull(tiny.NAME, from_path=stick)
    other = stick / "a-model-with-a-rather-long-name-of-its-own.gguf"
    other.write_bytes(gguf_bytes({"general.architecture": "llama"}))
    import_path(other)
    store.partial_path(store.model_file("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf")).parent.mkdir()
    store.partial_path(store.model_file("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf")).write_bytes(b"GGUF")
    assert models("list") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["NAME", "SIZE", "LICENCE", "STATE", "GOOD", "FOR"]
    assert lines[1].startswith("smollm2-135m-instruct")
    states = {line.split()[0]: line for line in lines}
    assert " ready " in states["tiny"]
    assert " partial " in states["gemma-3-270m"]
    assert " not here* " in states["gemma-3-1b-it:Q4_0"]
    assert " unverified " in lines[lines.index("a-model-with-a-rather-long-name-of-its-own") + 1]


def test_list_for_programs(stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pull(tiny.NAME, from_path=stick)
    assert models("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["store"] == str(store.store_folder())
    found = next(entry for entry in listed["models"] if entry["name"] == tiny.NAME)
    assert (found["state"], found["size_bytes"], found["sha256"]) == ("ready", len(tiny.CONTENT), tiny.SHA256)
    assert found["verified"]["compared_with"] == "manifest"
    absent = next(entry for entry in listed["models"] if entry["name"] == "gemma-3-1b-it")
    assert (absent["state"], absent["sha256"], absent["verified"]) == ("not here", "", None)


def test_pull_from_a_stick_says_so_and_the_second_time_too(
    stick: Path, capsys: pytest.CaptureFixture[str], no_socket: None
) -> None:
    assert models("pull", "--from", str(stick), tiny.NAME) == 0
    assert capsys.readouterr().out.startswith("tiny is here (sha256 as the manifest says): /")
    assert models("pull", tiny.NAME) == 0
    assert "was already here (sha256 as the manifest says, verified 20" in capsys.readouterr().out


def test_path_prints_the_path_and_nothing_else(stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pull(tiny.NAME, from_path=stick)
    assert models("path", tiny.NAME) == 0
    place = str(store.model_file(tiny.NAME, tiny.FILE_NAME))
    assert capsys.readouterr() == (f"{place}\n", "")
    assert models("path", "tiny:q4_0", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"name": "tiny", "path": place, "sha256": tiny.SHA256}


def test_path_of_what_is_not_here_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert models("path", "gemma-3-270m") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "hint: edge-runtime models pull gemma-3-270m" in err


def test_remove_asks_nothing_of_a_script(stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pull(tiny.NAME, from_path=stick)
    assert models("remove", tiny.NAME) == 0
    assert capsys.readouterr().out.startswith("tiny removed, 300 KB freed")
    assert not store.model_folder(tiny.NAME).exists()
    assert models("remove", tiny.NAME) == 3
    assert "nothing of tiny is in the store" in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "flags", "left"), [("n", [], 1), ("", [], 1), ("y", [], 0), ("n", ["--yes"], 0)]
)
def test_remove_asks_a_person(
    stick: Path, answer: str, flags: list[str], left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(tiny.NAME, from_path=stick)
    monkeypatch.setattr(sys, "stdin", _Terminal(f"{answer}\n"))
    assert models("remove", tiny.NAME, *flags) == 0
    assert store.model_folder(tiny.NAME).is_dir() == bool(left)


def test_remove_of_one_quantization_leaves_the_other(stick: Path) -> None:
    for file_name in ("gemma-3-1b-it-q4_0.gguf", "gemma-3-1b-it-Q4_K_M.gguf"):
        path = store.model_file("gemma-3-1b-it", file_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")
    assert models("remove", "gemma-3-1b-it:Q4_K_M") == 0
    assert [p.name for p in store.model_folder("gemma-3-1b-it").iterdir()] == ["gemma-3-1b-it-q4_0.gguf"]


@pytest.mark.parametrize("name", ["../../etc", "..", "/etc", "a/b"])
def test_remove_never_leaves_the_store(name: str, tmp_path: Path) -> None:
    assert models("remove", name) == 2


def test_only_pull_opens_a_connection(stick: Path, no_socket: None) -> None:
    for arguments in (
        ["list"], ["list", "--json"], ["import", str(stick)], ["path", "tiny"], ["remove", "tiny"]
    ):  # fmt: skip
        assert models(*arguments) == 0


def test_offline_pull_is_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_OFFLINE", "1")
    assert models("pull") == 3
    err = capsys.readouterr().err
    assert "EDGE_RUNTIME_OFFLINE" in err
    assert "models import PATH" in err


def test_from_goes_with_one_model(stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models("pull", "--from", str(stick), "tiny", "gemma-3-270m") == 2


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        models("fetch")
    assert caught.value.code == 2


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with ConsoleProgress().bar("tiny.gguf", 1000, 100) as advance:
        advance(900)
    assert "tiny.gguf: 100%" in screen.getvalue()


@pytest.mark.parametrize("on_a_terminal", [False, True])
def test_progress_is_lines_elsewhere_and_without_tqdm(
    on_a_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = _Terminal() if on_a_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(progress_bar, "_LINE_EVERY_S", 0)
    with ConsoleProgress().bar("big", 100_000_000, 0) as advance:
        advance(25_000_000)
    assert screen.getvalue() == "big: 0 B of 100 MB (0 %)\nbig: 25.0 MB of 100 MB (25 %)\n"


def test_offline_is_explained_once_and_refused_where_it_would_be_a_contradiction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    assert "--offline" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["generate", "--help"])
    assert "--offline" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        cli.main(["models", "pull", "--offline"])
    assert left.value.code == 2
    assert "unrecognized arguments: --offline" in capsys.readouterr().err
