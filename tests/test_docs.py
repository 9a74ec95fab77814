"""The README and the documents: their length, the files they name, the commands they show."""

from __future__ import annotations

import re
import shlex

import pytest
from support.places import ROOT

import edge_runtime
from edge_runtime.cli.command_line import build_parser

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_PATH = re.compile(r"`((?:edge_runtime|tools|scripts|tests|docs|models)/[\w./-]*)`")
_LINK = re.compile(r"\]\(([\w./-]+)\)")
_INDEXED = 20  # things that the index of docs/design.md says where to find, at least


def test_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert any("scripts/demo.sh" in line for line in lines[:25]), "the first result comes within 25 lines"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_exists(document: object) -> None:
    assert hasattr(document, "read_text")
    text = document.read_text(encoding="utf-8")
    named = {*_PATH.findall(text), *(f"docs/{link}" for link in _LINK.findall(text) if "/" not in link)}
    missing = {path for path in named if not (ROOT / path).exists() and not (ROOT / path[5:]).exists()}
    assert missing == set()


def test_the_index_names_a_file_for_each_thing() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| `([\w/.]+\.py)` \|$", text, re.MULTILINE)
    assert len(rows) >= _INDEXED
    assert [path for path in rows if not (ROOT / path).is_file()] == []


def shown_commands() -> list[str]:
    """Each `edge-runtime ...` line of a shell block, without its comment."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.splitlines():
                for part in re.split(r"&&|\|", line.partition(" #")[0]):
                    if part.strip().startswith("edge-runtime "):
                        found.append(part.strip())
    return found


@pytest.mark.parametrize("command", shown_commands())
def test_every_command_in_a_document_parses(command: str) -> None:
    build_parser().parse_args(shlex.split(command)[1:])


def test_the_documents_show_commands() -> None:
    assert len(shown_commands()) >= 10


def test_names_in_python_examples_are_public() -> None:
    for document in DOCUMENTS:
        for names in re.findall(r"^from edge_runtime import (.+)$", document.read_text(), re.MULTILINE):
            assert set(names.split(", ")) <= set(edge_runtime.__all__)
