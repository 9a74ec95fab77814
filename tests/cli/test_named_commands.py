"""Every command that a message, a help text or a docstring names is one that there is."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator

import pytest

from edge_runtime.cli.command_line import build_parser
from scripts.structure import module_files

_BACKTICKED = re.compile(r"`edge-runtime( [^`]*)?`")
_PLAIN = re.compile(r"(?<![`/\w-])edge-runtime ([a-z][^`\n]*)")
_OPTION, _PLACEHOLDER = re.compile(r"--?[a-z][\w-]*$"), re.compile(r"\[?[A-Z][A-Z_|]*\]?(\.\.\.)?$")
_PROSE = {"asks"}  # "the version that edge-runtime asks for"
_INCOMPLETE = ("arguments are required", "expected one argument", "expected at least one argument")


def texts_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """String literals, put together; what an f-string fills in is X."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def commands_in(text: str) -> Iterator[list[str]]:
    """The words behind `edge-runtime`; outside backticks as far as they are a command's."""
    for found in _BACKTICKED.finditer(text):
        yield shlex.split(re.split(r"[<>|&]", found[1] or "")[0].replace("\n", " "))
    for found in _PLAIN.finditer(text):
        words = [word.strip(".,;:()'\"") for word in found[1].split()]
        if words[0] not in _PROSE:
            yield list(_command_words(words))


def _command_words(words: list[str]) -> Iterator[str]:
    choices = _choices(build_parser())
    for word in words:
        if word in choices:
            yield word
            choices = _choices(choices[word])
        elif _OPTION.match(word) or choices:
            yield word
            choices = {}
        elif not _PLACEHOLDER.match(word):
            return


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def problem_with(words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Empty when the real parser takes the words, were some missing as well."""

    def error(_parser: argparse.ArgumentParser, message: str) -> None:
        raise ValueError(message)

    monkeypatch.setattr(argparse.ArgumentParser, "error", error)
    try:
        build_parser().parse_args(words)
    except ValueError as caught:
        return "" if any(text in str(caught) for text in _INCOMPLETE) else str(caught)
    except SystemExit:  # --help, --version
        return ""
    return ""


def test_every_named_command_is_one_that_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named: dict[tuple[str, ...], str] = {}
    for path in module_files().values():
        for line, text in texts_in(ast.parse(path.read_text(encoding="utf-8"))):
            named.update({tuple(words): f"{path}:{line}" for words in commands_in(text)})
    assert len(named) > 30
    assert ("verify", "NAME") in named
    wrong = {
        place: problem for words, place in named.items() if (problem := problem_with([*words], monkeypatch))
    }
    assert not wrong, "\n".join(f"{place}: {problem}" for place, problem in wrong.items())


@pytest.mark.parametrize(
    "text",
    [
        "fetch it again: edge-runtime models check NAME compares it",
        "`edge-runtime models check`",
        "run `edge-runtime plan --bugdet 2GB`",
        "edge-runtime plam shows it",
        "edge-runtime chat --lst shows all",
    ],
)
def test_a_command_that_is_not_there_is_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (words,) = commands_in(text)
    assert problem_with(words, monkeypatch)


def test_prose_is_no_command() -> None:
    assert list(commands_in("llama-cpp-python must be the version that edge-runtime asks for")) == []
    assert list(commands_in("edge-runtime doctor shows the sound devices")) == [["doctor"]]
    assert list(commands_in("`edge-runtime verify FILE --json > report.json` on it")) == [
        ["verify", "FILE", "--json"]
    ]
