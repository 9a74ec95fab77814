"""`edge-runtime chat` with one prompt, and what it keeps. Answers are scripted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.scripted_backend import Device

from edge_runtime.assistant.history import History, history_path
from edge_runtime.cli.command_line import main
from edge_runtime.memory import MemoryChoices, MemoryPlan


def kept() -> list[list[tuple[str, str]]]:
    """Every conversation of the history, the last used first."""
    with History() as history:
        loaded = [history.load(summary.id) for summary in history.conversations()]
    return [[(e.question, e.answer) for _, e in conversation.exchanges] for conversation in loaded]


def test_chat_with_a_prompt_answers_once_and_keeps_it(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts = ["Because."]
    assert main(["chat", "Why?"]) == 0
    assert capsys.readouterr().out == "Because.\n"
    assert kept() == [[("Why?", "Because.")]]
    assert not (history_path().parent / "states").exists()  # nobody comes back to a script's question


def test_chat_says_what_is_held_when_asked_to(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    device.scripts = ["Because."]
    assert main(["chat", "--memory", "Why?"]) == 0
    out, err = capsys.readouterr()
    assert out == "Because.\n"
    (line,) = [line for line in err.splitlines() if line.startswith("[memory ")]
    assert line.endswith("/token]") and len(line) <= 80


def test_chat_with_a_pipe_answers_once(
    device: Device, capsys: pytest.CaptureFixture[str], type_in: Callable[[bytes], None]
) -> None:
    device.scripts = ["Because."]
    type_in(b"Why?\n")
    assert main(["chat"]) == 0
    assert capsys.readouterr().out == "Because.\n"
    assert kept() == [[("Why?", "Because.")]]


def test_no_history_keeps_nothing(device: Device) -> None:
    device.scripts = ["Because."]
    assert main(["chat", "--no-history", "Why?"]) == 0
    assert not history_path().exists()


def test_resume_goes_on_with_the_latest_or_the_named_conversation(device: Device) -> None:
    for script, arguments in (
        ("a", ["first"]),
        ("b", ["second", "--model", "other"]),
        ("c", ["third", "--resume"]),
        ("d", ["fourth", "--resume", "1"]),
    ):
        device.scripts = [script]
        assert main(["chat", *arguments]) == 0
    assert kept() == [[("first", "a"), ("fourth", "d")], [("second", "b"), ("third", "c")]]
    # Each goes on with its own model.
    assert [m for m, _ in device.opened] == [
        "smollm2-135m-instruct",
        "other",
        "other",
        "smollm2-135m-instruct",
    ]


def test_a_model_file_is_remembered_so_that_it_is_found_from_any_folder(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scripted.gguf").write_bytes(b"model")
    device.scripts = ["a"]
    assert main(["chat", "--model", "scripted.gguf", "Hi"]) == 0
    with History() as history:
        assert history.conversations()[0].model == str((tmp_path / "scripted.gguf").resolve())


def test_list_shows_what_is_kept_and_delete_removes_it(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        device.scripts = ["a"]
        main(["chat", f"question {number} \x1b[31m that has a title longer than its column"])
    capsys.readouterr()
    assert main(["chat", "--list"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "LAST", "USED", "TURNS", "TITLE", "MODEL"]
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert all(len(row) <= 80 and "question" in row and "\x1b" not in row for row in rows)
    assert main(["chat", "--delete", "2"]) == 0
    capsys.readouterr()
    assert main(["chat", "--list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["exchanges"], listed["model"]) == (1, 1, "smollm2-135m-instruct")


def test_an_empty_list_says_so_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--list"]) == 0
    assert capsys.readouterr() == ("", "no conversation is kept yet\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume: there is no conversation yet"),
        (["--resume", "7"], "there is no conversation 7"),
        (["--resume", "seven"], "--resume: 'seven' is not a conversation's number"),
        (["--delete", "7"], "there is no conversation 7"),
        (["--resume", "--no-history"], "--no-history excludes"),
        (["--threads", "many"], "--threads: 'many' is not a whole number"),
    ],
)
def test_what_chat_cannot_do_ends_with_2(
    device: Device,
    capsys: pytest.CaptureFixture[str],
    type_in: Callable[[bytes], None],
    arguments: list[str],
    message: str,
) -> None:
    type_in(b"Hi")
    assert main(["chat", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_chat_json_is_one_object_with_plan_and_memory(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts = ["Because."]
    assert main(["chat", "--json", "--no-history", "Why?"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["text"] == "Because." and report["finish_reason"] == "stop"
    assert set(report["plan"]) == set(MemoryPlan((), MemoryChoices(1)).as_json())
    assert {"reread_bytes_per_token", "locked_bytes", "ple_resident_bytes"} <= set(report["memory"])


def test_chat_json_needs_one_prompt(
    device: Device, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["chat", "--json"]) == 2
    assert "--json goes with --list, or with one prompt" in capsys.readouterr().err


def test_a_damaged_history_is_named_and_chat_goes_on_without_it(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    history_path().parent.mkdir(parents=True)
    history_path().write_bytes(b"not a database at all" * 99)
    device.scripts = ["Because."]
    assert main(["chat", "Why?"]) == 6
    assert "history.sqlite3" in (error := capsys.readouterr().err) and "--no-history" in error
    assert main(["chat", "--no-history", "Why?"]) == 0
    assert capsys.readouterr().out == "Because.\n"


def test_a_base_model_says_what_it_is(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    device.scripts, device.template = [" a time"], ""
    assert main(["chat", "Once upon"]) == 0
    assert capsys.readouterr() == (
        " a time\n",
        "scripted is a base model: it continues text, it does not answer.\n",
    )
