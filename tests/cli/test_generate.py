"""`edge-runtime generate`: arguments and stdin in; stdout, stderr, exit status out. Answers are scripted."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.scripted_backend import TEMPLATE, Device

from edge_runtime.cli.command_line import main
from edge_runtime.errors import BackendFailed, ModelNotFound
from edge_runtime.memory import LoadOptions, MemoryChoices, MemoryPlan
from edge_runtime.runtime.runtime import Runtime


@pytest.mark.parametrize("answer", ["Because of the air.", "two\nlines", "ends with a newline\n", "Ü\x1b[1m"])
def test_generate_writes_exactly_the_text_and_one_newline(
    device: Device, capfdbinary: pytest.CaptureFixture[bytes], answer: str
) -> None:
    device.scripts = [answer]
    assert main(["generate", "Why?"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out.decode() == answer + "\n"
    assert captured.err == b""


def test_generate_puts_the_prompt_into_the_chat_template(device: Device) -> None:
    device.scripts = ["x"]
    assert main(["generate", "--system", "Be brief.", "Why?"]) == 0
    assert device.backend is not None
    asked = "<start>system\nBe brief.<end><start>user\nWhy?<end><start>assistant\n"
    assert device.backend.evaluated_text.startswith(asked)


@pytest.mark.parametrize("template", [TEMPLATE, ""])
def test_raw_and_base_models_continue_the_prompt_as_it_is(
    device: Device, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts, device.template = [" a time"], template
    assert main(["generate", *(["--raw"] if template else []), "Once <start> upon"]) == 0
    assert device.backend is not None and device.backend.evaluated_text == "Once <start> upon a time"
    assert len(device.backend.evaluated) == len("Once <start> upon a time")  # no control token was read
    note = "scripted is a base model: it continues text, it does not answer.\n"
    assert capsys.readouterr().err == ("" if template else note)


def test_a_base_model_has_no_place_for_a_system_prompt(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.template = ""
    assert main(["generate", "--system", "Be brief.", "Hi"]) == 2
    assert "system: there is no place for it without a chat template" in capsys.readouterr().err


def test_json_ends_with_one_object_of_the_promised_shape(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts = ["Grün\x1b"]
    assert main(["generate", "--json", "Why?"]) == 0
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert last_line.isascii()  # no terminal and no locale can spoil it
    report = json.loads(last_line)
    assert {key: sorted(value) if isinstance(value, dict) else value for key, value in report.items()} == {
        "text": "Grün\x1b",
        "finish_reason": "stop",
        "usage": ["cached_tokens", "completion_tokens", "prompt_tokens"],
        "timings": [
            "between_decodes_us",
            "decode_tokens_per_s",
            "load_s",
            "prefill_tokens_per_s",
            "time_to_first_token_s",
        ],
        "memory": [
            "locked_bytes",
            "peak_anonymous_bytes",
            "peak_file_bytes",
            "ple_resident_bytes",
            "reread_bytes_per_token",
        ],
        "plan": sorted(MemoryPlan((), MemoryChoices(1)).as_json()),
    }
    assert report["usage"] == {"prompt_tokens": 22, "cached_tokens": 0, "completion_tokens": 7}
    if sys.platform == "linux":
        assert report["memory"]["peak_anonymous_bytes"] > 1_000_000


@pytest.mark.parametrize(
    ("piped", "asked"),
    [
        (b"Why?", "Why?"),
        (b"Why?\n", "Why?"),
        (b"Why?\r\n", "Why?"),
        (b"two\nlines\n\n", "two\nlines\n"),
        (b"\xef\xbb\xbfWhy?", "Why?"),
        ("Wieso ä?".encode(), "Wieso ä?"),
    ],
)
def test_a_prompt_from_stdin_loses_one_newline_and_nothing_else(
    device: Device, type_in: Callable[[bytes], None], piped: bytes, asked: str
) -> None:
    device.scripts = ["!"]
    type_in(piped)
    assert main(["generate", "--raw"]) == 0
    assert device.backend is not None and device.backend.evaluated_text == asked + "!"


def test_options_reach_the_engine(device: Device) -> None:
    device.scripts = ["abcdef"]
    sampling = ["--temperature", "0.5", "--top-k", "7", "--top-p", "0.5", "--min-p", "0.1", "--seed", "3"]
    loading = ["--model", "some", "--budget", "2GB", "--context", "512", "--threads", "3", "--offline"]
    loading += ["--gpu-layers", "0", "--kv", "q8_0", "--ple", "cache", "--no-repack"]
    loading += ["--ple-locked", "8MB", "--no-flash-attention"]
    penalty = ["--repeat-penalty", "1.5", "--max-tokens", "4"]
    assert main(["generate", *sampling, *loading, *penalty, "Hi"]) == 0
    ((model, options),) = device.opened
    asked = LoadOptions(
        budget="2GB",
        context_tokens=512,
        threads=3,
        gpu_layers=0,
        kv_type="q8_0",
        ple="cache",
        ple_locked="8MB",
        repack=False,
        flash_attention=False,
    )
    assert (model, options) == ("some", asked)
    assert device.backend is not None
    (drawn,) = device.backend.sampling
    assert (drawn.temperature, drawn.top_k, drawn.top_p, drawn.min_p) == (0.5, 7, 0.5, 0.1)
    assert (drawn.seed, drawn.repeat_penalty) == (3, 1.5)
    assert device.backend.evaluated_text.endswith("abc")  # the fourth token was drawn, not evaluated


def test_stop_texts_end_the_answer(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    device.scripts = ["one two three"]
    assert main(["generate", "--stop", "three", "--stop", " two", "Hi"]) == 0
    assert capsys.readouterr().out == "one\n"


INVALID = [
    (["--temperature", "hot"], "--temperature: 'hot' is not a number"),
    (["--temperature", "nan"], "--temperature: 'nan' is not a number"),
    (["--max-tokens", "1.5"], "--max-tokens: '1.5' is not a whole number"),
    (["--max-tokens", "0"], "--max-tokens: 0 is not a whole number from 1"),
    (["--seed", "-1"], "--seed: -1 is not a whole number from 0"),
    (["--max-tokens", "9" * 400], f"--max-tokens: {'9' * 40}... is not a whole number from 1 to"),
    (["--seed", "9" * 5000], f"--seed: '{'9' * 39}... is not a whole number"),
    (["--top-k", "1e3"], "--top-k: '1e3' is not a whole number"),
    (["--top-k", " 5"], "--top-k: ' 5' is not a whole number"),
    (["--top-p", "2"], "--top-p: 2.0 is not a number from 0 to 1"),
    (["--stop", ""], "--stop: at most 64 strings"),
    (["--raw", "--system", "x"], "--raw: there is no place for --system"),
    (["--schema", "missing.json"], "--schema: missing.json: No such file"),
    (["--schema", "broken.json"], "--schema: broken.json, line 2, column 10: "),
    (["--schema", "list.json"], "--schema: list.json, line 1: a JSON Schema is an object, this is an array"),
    (["--schema", "latin1.json"], "--schema: latin1.json is not UTF-8: byte 0xe9 at offset 2"),
    (["--schema", "deep.json"], "--schema: deep.json: "),
    (["--schema", "."], "--schema: .: Is a directory"),
    (["--schema", "lookahead.json"], "--schema: /properties/a/pattern: '(?=a)b': look-ahead"),
    (["--schema", "half.json"], '--schema: the schema: "\\ud83d" has half a surrogate pair'),
    (["--grammar", "empty.gbnf"], "--grammar: it is empty, and would constrain nothing"),
    (["--grammar", "nested.gbnf"], "--grammar: line 1, column 110: groups nested more than 100 deep"),
    (["--grammar", "missing.gbnf"], "--grammar: missing.gbnf: No such file"),
]


@pytest.mark.parametrize(("options", "message"), INVALID)
def test_wrong_values_are_said_in_one_line_before_any_model_is_opened(
    device: Device,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text('{"type":\n "object"]')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "latin1.json").write_bytes(b'{"\xe9": 1}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "lookahead.json").write_text('{"properties": {"a": {"pattern": "(?=a)b"}}}')
    (tmp_path / "half.json").write_text(r'{"const": "\ud83d"}')
    (tmp_path / "empty.gbnf").write_text("")
    (tmp_path / "nested.gbnf").write_text("root ::= " + "(" * 60_000)
    assert main(["generate", *options, "Hi"]) == 2
    captured = capsys.readouterr()
    first, *others = captured.err.splitlines()
    assert first.startswith(f"error: {message}")
    assert all(line.startswith("  hint: ") for line in others) and len(others) <= 1
    assert captured.out == "" and device.opened == []


@pytest.mark.parametrize(
    ("piped", "message"),
    [
        (b"caf\xe9 au lait", "standard input is not UTF-8: byte 0xe9 at offset 3"),
        (b"ok \xe2\x82", "standard input is not UTF-8: byte 0xe2 at offset 3"),
        (b"", "standard input is empty"),
        (b" \n\n", "standard input is empty"),
        (b"x" * 4_000_000 + b"y", "standard input is larger than 4.00 MB"),
    ],
)
@pytest.mark.parametrize("command", ["generate", "chat"])
def test_stdin_that_is_no_prompt_is_refused(
    device: Device,
    capsys: pytest.CaptureFixture[str],
    type_in: Callable[[bytes], None],
    command: str,
    piped: bytes,
    message: str,
) -> None:
    type_in(piped)
    assert main([command]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}\n")
    assert device.opened == []


def test_bytes_of_the_command_line_that_are_not_utf8_are_refused(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "caf\udce9"]) == 2  # as Python hands over the byte 0xe9
    assert "the prompt is not UTF-8: byte 0xe9 at offset 3" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_an_unknown_option_ends_with_2_and_names_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--tempreature", "1", "Hi"])
    assert caught.value.code == 2
    assert "--tempreature" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_a_prompt_longer_than_the_context_ends_with_4(
    device: Device, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    device.context_tokens = 300
    assert main([command, "w" * 1000]) == 4
    captured = capsys.readouterr()
    assert captured.out == "" and "www" not in captured.err
    assert "tokens" in captured.err and "context" in captured.err.partition("hint: ")[2]


def test_a_model_that_is_not_there_ends_with_3(
    device: Device, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model: str, *_: Any, **__: Any) -> Runtime:
        raise ModelNotFound(f"{model} is not here", hint="pull it")

    monkeypatch.setattr(Runtime, "open", refuse)
    assert main(["generate", "--model", "gemma", "Hi"]) == 3
    assert capsys.readouterr().err == "error: gemma is not here\n  hint: pull it\n"


def test_an_engine_that_fails_at_once_ends_with_6_and_writes_nothing(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts = [BackendFailed("it broke")]
    assert main(["generate", "Hi"]) == 6
    assert capsys.readouterr() == ("", "error: it broke\n")


def fail_midway() -> Iterator[str]:
    yield "Once"
    raise BackendFailed("it broke")


def test_an_engine_that_fails_midway_ends_with_6_and_what_was_written_stays(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts = [fail_midway()]
    assert main(["generate", "Hi"]) == 6
    assert capsys.readouterr() == ("Once\n", "error: it broke\n")


def press_ctrl_c_midway() -> Iterator[str]:
    """On the worker's thread: an answer that would go on for long."""
    yield "Once upon"
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGINT)
    for _ in range(1000):
        time.sleep(0.01)
        yield " x"


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_ends_with_130_and_what_was_written_stays(
    device: Device, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    device.scripts = [press_ctrl_c_midway()]
    started_s = time.monotonic()
    assert main(["generate", *options, "A story"]) == 130
    assert time.monotonic() - started_s < 5
    out = capsys.readouterr().out
    text = json.loads(out)["text"] if options else out
    assert text.startswith("Once upon")
    if options:
        assert json.loads(out)["finish_reason"] == "cancelled"
