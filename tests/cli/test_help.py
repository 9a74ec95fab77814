"""`--help` of every command: each option is explained, the same option in the same words."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import pytest

from edge_runtime.cli.command_line import build_parser, main
from edge_runtime.cli.commands import SUMMARIES

Parsers = dict[str, argparse.ArgumentParser]
# Here an option has another meaning than elsewhere, and says so.
OWN_MEANING = {
    ("quantize", "--budget"), ("quantize", "--context"), ("imatrix", "--context"), ("quality", "--context"),
    ("quantize", "--ple"), ("synth", "--ple"), ("slice", "--to"),
}  # fmt: skip
ONE_TEXT = (
    "--budget", "--context", "--kv", "--ple", "--ple-locked", "--repack", "--flash-attention", "--threads",
    "--gpu-layers", "--rate", "--channels", "--words", "--to", "--translator", "--text",
)  # fmt: skip


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, child in action.choices.items():
                yield from parsers(child, f"{name} {command}".strip())


@pytest.fixture(scope="module")
def commands() -> Parsers:
    found = dict(parsers(build_parser()))
    assert len(found) > 20
    return found


def shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action
        for action in parser._actions
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)
    ]


def test_every_command_and_each_of_its_options_is_explained(commands: Parsers) -> None:
    unexplained = [
        f"{name} {action.option_strings or action.dest}"
        for name, parser in commands.items()
        for action in shown(parser)
        if not action.help
    ]
    assert unexplained == []
    assert [name for name, parser in commands.items() if not parser.description] == []


def test_an_option_with_a_value_names_its_default(commands: Parsers) -> None:
    exempt = {
        "to",
        "schema",
        "grammar",
        "stop",
        "adapter",
        "resume",
        "delete",
        "type",
        "recipe",
        "path",
        "plot",
    }
    silent = [
        f"{name} {action.option_strings[0]}"
        for name, parser in commands.items()
        for action in shown(parser)
        if action.option_strings and action.nargs != 0 and not action.required and action.dest not in exempt
        if "(default: " not in str(action.help)
    ]
    assert silent == []


def test_the_same_option_has_the_same_words_in_every_command(commands: Parsers) -> None:
    texts: dict[str, set[str]] = defaultdict(set)
    for name, parser in commands.items():
        for action in shown(parser):
            for option in set(action.option_strings) & set(ONE_TEXT):
                if (name, option) not in OWN_MEANING:
                    texts[option].add(str(action.help))
    assert set(texts) == set(ONE_TEXT)
    assert {option: words for option, words in texts.items() if len(words) > 1} == {}


def test_help_fits_80_columns(commands: Parsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    too_long = [
        line for parser in commands.values() for line in parser.format_help().splitlines() if len(line) > 80
    ]
    assert too_long == []


def test_the_help_of_all_commands_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom edge_runtime.cli.command_line import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "names = [name for name in sys.modules if name.startswith('edge_runtime.')]\n"
        "print(sorted(name for name in [*names, 'numpy'] if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stderr)
    assert "edge_runtime.cli.command_line" in loaded
    folders = {name.split(".")[1] for name in loaded if "." in name}
    assert folders <= {"cli", "errors", "values"} and "numpy" not in loaded
    assert [name for name in loaded if name.startswith("edge_runtime.cli.commands.")] == []


def test_the_help_is_the_same_with_all_commands_and_with_none(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for argv in (None, ["--help"]):
        build_parser(argv).print_help()
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


@pytest.mark.parametrize("command", SUMMARIES)
def test_a_command_works_with_its_own_module_alone(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: edge-runtime {command}" in capsys.readouterr().out
