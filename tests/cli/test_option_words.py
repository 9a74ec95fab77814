"""Errors in Python's words below the command line, and in its options on a terminal."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.places import ROOT

from edge_runtime.cli.command_line import build_parser, main
from edge_runtime.cli.screen.option_words import OPTION_OF, option_words
from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import generation_options

_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*|$)")  # also one that a name is put behind
# Options of other programs, which the library really calls or names.
_OTHER_PROGRAMS = {
    "edge_runtime/catalog/pulling/wheel_fetch.py": "pip",
    "edge_runtime/speech/whisper/hugging_face.py": "optimum-cli",
    "edge_runtime/bench/doctor.py": "docker, scripts/setup.sh, and doctor's own options: the command's text",
}


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """String constants that are no docstring, without `commands in backticks`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.lineno, re.sub(r"`[^`]*`", "", node.value)


def test_below_the_command_line_no_text_names_an_option() -> None:
    found = []
    for folder in ("edge_runtime", "tools/edge_tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith("edge_runtime/cli/") and place not in _OTHER_PROGRAMS:
                found += [f"{place}:{line}: {text}" for line, text in texts_of(path) if _OPTION.search(text)]
    assert found == []


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    options = set()
    for action in parser._actions:
        options |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            options |= set().union(*map(options_of, action.choices.values()))
    return options


def test_every_keyword_stands_for_an_option_that_exists() -> None:
    options = options_of(build_parser())
    missing = {option for option in OPTION_OF.values() if not {option, f"--no-{option[2:]}"} & options}
    assert missing == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kv_type: 'f33' is not known", "--kv: 'f33' is not known"),
        ("open the model with a larger budget=", "open the model with a larger --budget"),
        ("budget='2GB' fits", "--budget 2GB fits"),
        ("context_tokens=512 or repack=False", "--context 512 or --no-repack"),
        ("keep no conversation: history=None", "keep no conversation: --no-history"),
        ("raw=True gives plain completion", "--raw gives plain completion"),
        (
            "the budget: what a threads pool needs, n_budget=3",
            "the budget: what a threads pool needs, n_budget=3",
        ),
    ],
)
def test_keywords_become_options(text: str, shown: str) -> None:
    assert option_words(text) == shown


# Option, a wrong value for it, and the same from Python.
_WRONG = [
    ("--temperature", "hot", {"temperature": "hot"}),
    ("--temperature", "-1", {"temperature": -1}),
    ("--top-k", "1.5", {"top_k": 1.5}),
    ("--top-p", "2", {"top_p": 2}),
    ("--min-p", "nan", {"min_p": float("nan")}),
    ("--repeat-penalty", "0", {"repeat_penalty": 0}),
    ("--seed", "-1", {"seed": -1}),
    ("--seed", "9" * 400, {"seed": int("9" * 400)}),
    ("--max-tokens", "0", {"max_tokens": 0}),
    ("--max-tokens", "2.5", {"max_tokens": 2.5}),
]
_WRONG_LOAD = [
    ("--context", "0", {"context_tokens": 0}),
    ("--context", "1e3", {"context_tokens": "1e3"}),
    ("--kv", "f33", {"kv_type": "f33"}),
    ("--ple", "somewhere", {"ple": "somewhere"}),
    ("--ple-locked", "much", {"ple_locked": "much"}),
    ("--budget", "2 parsecs", {"budget": "2 parsecs"}),
    ("--threads", "-2", {"threads": -2}),
]


@pytest.mark.parametrize(("option", "value", "keywords"), _WRONG, ids=lambda value: str(value)[:24])
def test_a_wrong_sampling_value_is_named_as_it_was_given(
    option: str, value: str, keywords: dict[str, object], tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(lambda: generation_options({}, keywords), "generate", option, value, keywords, tiny, capsys)


@pytest.mark.parametrize(("option", "value", "keywords"), _WRONG_LOAD, ids=lambda value: str(value)[:24])
def test_a_wrong_setting_is_named_as_it_was_given(
    option: str, value: str, keywords: dict[str, object], tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(
        lambda: Runtime.open(str(tiny), **keywords),  # type: ignore[arg-type]
        "plan" if option == "--threads" else "generate",
        option,
        value,
        keywords,
        tiny,
        capsys,
    )


# A command with a wrong value; the option that the error must name.
_WRONG_COMMANDS = [
    (["transcribe", "x.wav", "--rate", "0"], "--rate"),
    (["transcribe", "x.wav", "--channels", "x"], "--channels"),
    (["transcribe", "x.wav", "--language", "klingon"], "--language"),
    (["translate", "x.wav", "--to", "klingon"], "--to"),
    (["listen", "--rate", "1e9"], "--rate"),
    (["quantize", "MODEL", "-o", "o.gguf", "--type", "Q9"], "--type"),
    (["quantize", "MODEL", "-o", "o.gguf", "--type", "Q4_0", "--ple", "zz"], "--ple"),
    (["quantize", "MODEL", "-o", "o.gguf", "--type", "Q4_0", "--output-type", "zz"], "--output-type"),
    (["quantize", "MODEL", "-o", "o.gguf", "--recipe", "edge-2gb", "--budget", "2GB"], "--budget"),
    (["quantize", "MODEL", "-o", "o.gguf", "--recipe", "fast"], "--recipe"),
    (["quantize", "MODEL", "-o", "o.gguf", "--type", "Q4_0", "--split", "1B"], "--split"),
    (["slice", "MODEL", "-o", "o.gguf", "--skip-layers", "x"], "--skip-layers"),
    (["slice", "MODEL", "-o", "o.gguf", "--ffn", "x"], "--ffn"),
    (["synth", "smollm2-135m", "-o", "o.gguf", "--scale", "7"], "--scale"),
    (["synth", "smollm2-135m", "-o", "o.gguf", "--body", "Q9"], "--body"),
    (["plan", "MODEL", "--parallel", "0"], "--parallel"),
    (["plan", "MODEL", "--micro-batch", "z"], "--micro-batch"),
    (["plan", "MODEL", "--plot", "x.bmp"], "--plot"),
    (["plan", "MODEL", "--budget", "-1"], "--budget"),
    (["bench", "--model", "MODEL", "--repeat", "0"], "--repeat"),
    (["bench", "--model", "MODEL", "--answer-tokens", "x"], "--answer-tokens"),
    (["chat", "--model", "MODEL", "--gpu-layers", "-1", "Hi"], "--gpu-layers"),
    (["verify", "MODEL", "--against", "report.json"], "--against"),
]


@pytest.mark.parametrize(
    ("command", "option"),
    _WRONG_COMMANDS,
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else value,
)
def test_each_command_names_the_option_with_the_wrong_value(
    command: list[str],
    option: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.json").write_text("no report")
    assert main([str(tiny) if word == "MODEL" else word for word in command]) == 2
    shown = capsys.readouterr().err
    assert option in shown.partition("hint:")[0] and "Traceback" not in shown
    assert not re.search(r"\b[a-z]+_[a-z_]+(: |=)", shown), "a Python keyword on the screen"
    assert not (tmp_path / "o.gguf").exists()


def check(
    call: object,
    command: str,
    option: str,
    value: str,
    keywords: dict[str, object],
    model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert callable(call)
    with pytest.raises(OptionInvalid) as caught:
        call()
    (keyword,) = keywords
    assert str(caught.value).startswith(f"{keyword}: ")
    assert not _OPTION.search(str(caught.value) + caught.value.hint)
    rest = [str(model)] if command == "plan" else ["--model", str(model), "Hello"]
    try:
        status = main([command, f"{option}={value}", *rest])
    except SystemExit as usage:  # argparse knows the allowed words itself
        status = int(str(usage.code))
    shown = capsys.readouterr().err
    assert status == 2
    assert option in shown
    assert not re.search(rf"\b{keyword}(: |=)", shown) or "_" not in keyword
