"""Commands under hard conditions: closed streams, folders that are gone, encodings, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.builders import tiny_llama_gguf
from support.places import ROOT

from edge_runtime.cli import command_line as cli
from edge_runtime.device import folders
from edge_runtime.errors import OptionInvalid

Ran = subprocess.CompletedProcess[str]
posix = pytest.mark.skipif(sys.platform == "win32", reason="descriptors and signals of POSIX")


def edge(
    *arguments: str,
    cwd: Path,
    redirections: str = "",
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    before: str = ":",
) -> Ran:
    """By way of a shell. stderr never has a traceback."""
    ran = subprocess.run(
        [
            "sh",
            "-c",
            f'{before}; exec "$@" {redirections}',
            "sh",
            sys.executable,
            "-m",
            "edge_runtime",
            *arguments,
        ],
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tools'}", **(environment or {})},
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    assert "fault in edge_runtime" not in ran.stderr, ran.stderr
    return ran


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
@pytest.mark.parametrize("command", [["inspect"], ["plan"], ["chat", "--list"], ["models", "list"]])
def test_any_encoding_shows_any_name_within_the_width(
    encoding: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "modèle 名前 … × ± · \U0001f600 " + "長" * 40 + ".gguf"
    (tmp_path / name).write_bytes(tiny_llama_gguf())
    files = [name] if command[0] in ("inspect", "plan") else []
    shown = edge(*command, *files, cwd=tmp_path, environment={"PYTHONIOENCODING": encoding})
    assert shown.returncode == 0, shown.stderr
    plain = edge(*command, *files, cwd=tmp_path, environment={"PYTHONIOENCODING": "utf-8"})
    assert len(shown.stdout.splitlines()) == len(plain.stdout.splitlines())
    if command[0] != "inspect":  # which prints values of any length
        lines = [line for line in shown.stdout.splitlines() if "?" not in line]
        assert max(map(len, lines), default=0) <= 80


@posix
def test_a_name_that_is_no_utf_8_is_told_and_its_json_is_json(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9.gguf").write_bytes(tiny_llama_gguf())
    for command in ("inspect", "plan"):
        shown = edge(command, "caf\udce9.gguf", cwd=tmp_path)
        assert (shown.returncode, shown.stdout.startswith("caf?.gguf")) == (0, True)
    found = json.loads(edge("inspect", "--json", "caf\udce9.gguf", cwd=tmp_path).stdout)
    assert os.fsencode(found["path"]).endswith(b"caf\xe9.gguf")
    answered = edge("generate", "--raw", "--max-tokens", "2", "hi", "--model", "caf\udce9.gguf", cwd=tmp_path)
    assert answered.returncode == 0, answered.stderr
    missing = edge("inspect", "th\udce9.gguf", cwd=tmp_path)
    assert missing.returncode == 3
    assert "th\\xe9.gguf does not exist" in missing.stderr


@posix
def test_the_path_of_a_model_keeps_its_bytes(tmp_path: Path) -> None:
    home = tmp_path / "caf\udce9"
    (home / "models" / "mine").mkdir(parents=True)
    (home / "models" / "mine" / "mine.gguf").write_bytes(tiny_llama_gguf())
    shown = edge("models", "path", "mine", cwd=tmp_path, environment={"EDGE_RUNTIME_HOME": str(home)})
    assert Path(shown.stdout.rstrip("\n")).is_file()


@posix
@pytest.mark.parametrize(
    ("redirections", "status"),
    [(">&-", 0), ("2>&-", 0), ("<&-", 0), (">&- 2>&- <&-", 0), (">/dev/full", 6), ("2>/dev/full", 0)],
)
def test_closed_and_full_streams(redirections: str, status: int, tiny: Path) -> None:
    if "/dev/full" in redirections and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    assert edge("inspect", tiny.name, cwd=tiny.parent, redirections=redirections).returncode == status
    wrong = edge("inspect", "missing.gguf", cwd=tiny.parent, redirections=redirections)
    assert wrong.returncode == 3


@posix
def test_a_file_never_gets_the_number_of_a_closed_stderr(tiny: Path) -> None:
    """llama.cpp writes its messages to descriptor 2, which would be the next file that is opened."""
    ran = edge(
        *("quantize", tiny.name, "-o", "new.gguf", "--type", "Q8_0"), cwd=tiny.parent, redirections="2>&- >&-"
    )
    assert ran.returncode == 0
    assert edge("verify", "new.gguf", cwd=tiny.parent).returncode == 0


@posix
def test_a_working_folder_that_is_gone(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "gone").mkdir()
    for arguments, status in (
        (["models", "list"], 0),
        (["inspect", "missing.gguf"], 2),
        (["plan", "missing.gguf"], 2),
        (["inspect", str(tiny)], 0),
    ):
        before = "mkdir -p gone; cd gone; rmdir ../gone"
        ran = edge(*arguments, cwd=tmp_path, before=before)
        assert ran.returncode == status, ran.stderr
        if status == 2:
            assert "the working folder does not exist any more" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--context", "9" * 400],
        ["plan", "--budget", "9" * 400],
        ["plan", "--threads", "-" + "9" * 400],
        ["generate", "hi", "--temperature", "9" * 5000],
        ["generate", "hi", "--max-tokens", "9" * 5000],
        ["generate", "hi", "--seed", "9" * 400],
    ],
)
def test_numbers_of_hundreds_of_digits_are_refused_in_one_short_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: --")
    assert max(map(len, err.splitlines())) < 200


def test_columns_of_hundreds_of_digits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "9" * 400)
    assert cli.main(["models", "list"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("command", [["generate", "hi"], ["chat", "hi"]])
def test_an_empty_model_is_not_the_default_one(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "--model", ""]) == 3
    assert "no model is called ''" in capsys.readouterr().err


def test_minus_one_token_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "hi", "--max-tokens", "-1"]) == 2
    assert "leave it out" in capsys.readouterr().err


def test_a_dash_is_standard_input(tiny: Path) -> None:
    arguments = ("generate", "--raw", "--model", tiny.name, "--max-tokens", "3", "--temperature", "0")
    given = edge(*arguments, "some words", cwd=tiny.parent)
    piped = edge(*arguments, "-", cwd=tiny.parent, stdin="some words\n")
    assert (piped.returncode, piped.stdout) == (0, given.stdout)


def test_an_unknown_value_of_a_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: Path
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "maybe")
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err.startswith("error: EDGE_RUNTIME_CHILDREN: 'maybe' is neither yes nor no")


def test_a_store_that_is_a_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: Path
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tiny))
    with pytest.raises(OptionInvalid, match="is a file, expected a folder"):
        folders.store_folder()
    for command, status in (
        (["models", "list"], 2),
        (["models", "import", str(tiny)], 2),
        (["chat", "--list"], 2),
        (["generate", "hi"], 3),
        (["plan", str(tiny)], 0),  # which needs no store
    ):
        assert cli.main(command) == status
        assert not status or "is a file, expected a folder" in capsys.readouterr().err


def test_rubbish_in_the_store_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tmp_path / "store"))
    models = tmp_path / "store" / "models"
    (models / "own").mkdir(parents=True)
    (models / "own" / "broken.gguf").symlink_to("nowhere")
    (models / "own" / "own.gguf").write_bytes(b"rubbish")
    (models / "own" / "own.gguf.json").write_bytes(b"\xff")
    (models / "a file").write_text("")
    (models / "folder.gguf").mkdir()
    (tmp_path / "store" / "manifests").mkdir()
    (tmp_path / "store" / "manifests" / "notes.txt").write_text("[[[")
    assert cli.main(["models", "list"]) == 0
    assert re.search(r"^own .*damaged", capsys.readouterr().out, re.MULTILINE)
    assert cli.main(["verify"]) == 3


def test_a_history_that_is_no_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "history.sqlite3").write_text("rubbish")
    assert cli.main(["chat", "--list"]) == 6
    assert "is not a database" in capsys.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_is_one_line_unless_its_traceback_was_asked_for(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_runtime.cli.commands import models

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr(models, "models", fail)
    assert cli.main([*["--debug"] * debug, "models", "list"]) == 6
    err = capsys.readouterr().err
    assert "this is a fault in edge_runtime: ZeroDivisionError: made up" in err
    assert ("Traceback" in err) == debug


@posix
@pytest.mark.parametrize(
    "module", ["edge_runtime.cli.command_line", "edge_runtime.cli.commands.generate", "numpy"]
)
def test_ctrl_c_during_imports_is_status_130(module: str, tmp_path: Path) -> None:
    code = f"""
import sys, time
import edge_runtime.__main__ as entry

class Slow:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            print(flush=True)
            time.sleep(20)

sys.meta_path.insert(0, Slow())
sys.exit(entry.run())
"""
    command = [sys.executable, "-c", code, "generate", "hello", "--model", "missing.gguf"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
