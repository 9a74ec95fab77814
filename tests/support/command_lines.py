"""Random command lines, environments and streams, made from the real parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from support.builders import gguf_bytes, tiny_llama_gguf
from support.sounds import sine, wav_bytes
from support.tiny_checkpoint import write_llama

from edge_runtime.cli.command_line import build_parser

ENCODINGS = ("utf-8", "ascii", "latin-1", "cp1252", "cp437", "cp932")
FILES = (
    "tiny.gguf",
    "cut.gguf",
    "empty.gguf",
    "text.gguf",
    "vocabulary.gguf",
    "checkpoint",
    "text.txt",
    "schema.json",
    "rubbish.json",
    "sound.wav",
    "bytes.bin",
    "broken.gguf",
    "folder",
    "caf\udce9.gguf",
    "名前.gguf",
)
# Not before a slash: what is written must stay in the test's own folder.
_PATHS = st.sampled_from(
    [*FILES, *(f"./{name}" for name in FILES), "missing.gguf", "new.gguf", "new.txt", "./folder/new.srt", "."]
)
_NUMBERS = st.one_of(
    st.integers(-3, 300).map(str),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["9" * 400, "-" + "9" * 400, "0." + "1" * 400, "9" * 5000, "1e400", "٣", "1_0", "0x10"]),
)
_SIZES = st.sampled_from(["2GB", "1.5GiB", "800M", "1", "0", "9" * 15 + "TB", "2 gb", "GB", "-1GB"])
_WORDS = (
    "",
    " ",
    "-",
    "--",
    "hello",
    "\udcff",
    "x" * 10_000,
    "a:b",
    "~",
    "name=1",
    "{}",
    "[1]",
    "*",
    "%s",
    "0-5",
)
_NAMES = ("tiny", "tiny:Q4_0", "smollm2-135m-instruct", "gemma-3-270m", "whisper-base", "root ::= 'a'")
_TEXT = st.one_of(
    st.text(st.characters(blacklist_characters="/\\\0", blacklist_categories=()), max_size=12),
    st.sampled_from([*_WORDS, *_NAMES]),
)
# Options that are given often: without them most commands would end at once.
_SMALL = {"--max-tokens": "2", "--context": "256", "--prompt-tokens": "8", "--limit": "1", "--repeat": "1"}


@dataclass(frozen=True)
class Command:
    """A command of the parser, with what it takes."""

    names: tuple[str, ...]
    options: tuple[argparse.Action, ...]
    positionals: tuple[argparse.Action, ...]


@dataclass(frozen=True)
class Case:
    arguments: tuple[str, ...]
    environment: Mapping[str, str | None]  # None: not set
    encoding: str
    stdin: bytes | None  # None: closed
    stdout: str  # "pipe", "closed" or "full"
    stderr: str


def commands() -> tuple[Command, ...]:
    return tuple(_walk(build_parser(), ()))


def _walk(parser: argparse.ArgumentParser, names: tuple[str, ...]) -> Iterator[Command]:
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for sub in subs:
        for name, inner in sub.choices.items():
            yield from _walk(inner, (*names, name))
    if not subs:
        options = tuple(action for action in parser._actions if action.option_strings)
        positionals = tuple(action for action in parser._actions if not action.option_strings)
        yield Command(names, options, positionals)


_ANY_VALUE = st.one_of(_PATHS, _NUMBERS, _SIZES, _TEXT)


def _value_of(action: argparse.Action) -> st.SearchStrategy[str]:
    known = [st.sampled_from([str(choice) for choice in action.choices])] if action.choices else []
    if action.option_strings and action.option_strings[-1] in _SMALL:
        known.append(st.just(_SMALL[action.option_strings[-1]]))
    if action.dest in ("model", "path", "file", "source", "names", "checkpoint", "folder"):
        known += [st.just("tiny.gguf"), _PATHS]
    return st.one_of(*known, _ANY_VALUE)


@st.composite
def arguments_of(draw: st.DrawFn, command: Command) -> tuple[str, ...]:
    words: list[str] = []
    for action in command.positionals:
        for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2]))):
            words.append(draw(_value_of(action)))
    wanted = draw(st.lists(st.sampled_from(command.options), max_size=4, unique=True))
    for action in command.options:
        name = action.option_strings[-1]
        if action not in wanted and (action.required or name in _SMALL or name == "--model"):
            wanted += [action] * draw(st.sampled_from([1, 1, 1, 0]))
    for action in wanted:
        words.append(draw(st.sampled_from(action.option_strings)))
        if action.nargs != 0:
            words.append(draw(_value_of(action)))
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(_ANY_VALUE))
    return (*command.names, *words)


_ENVIRONMENT = {
    "LC_ALL": ("C", "C.UTF-8", "de_DE.ISO-8859-1"),
    "NO_COLOR": ("1", ""),
    "TERM": ("dumb", "", "xterm", "\udcff"),
    "COLUMNS": ("1", "0", "-5", "9" * 400, "wide"),
    "EDGE_RUNTIME_HOME": ("store", "./store", "text.txt", "bytes.bin", "store/deep", "~/store"),
    "EDGE_RUNTIME_CHILDREN": ("no", "maybe", "9" * 400),
    "EDGE_RUNTIME_OFFLINE": ("1", "yes", "maybe"),
    "LLAMA_CPP_LIB_PATH": ("missing", ""),
    "XDG_DATA_HOME": ("", "relative", "text.txt"),
    "HF_ENDPOINT": ("nonsense",),
}


@st.composite
def environments(draw: st.DrawFn) -> dict[str, str | None]:
    names = draw(st.lists(st.sampled_from(sorted(_ENVIRONMENT)), max_size=3, unique=True))
    chosen: dict[str, str | None] = {name: draw(st.sampled_from(_ENVIRONMENT[name])) for name in names}
    if draw(st.integers(0, 9)) == 0:
        chosen["HOME"] = None
    chosen.setdefault("EDGE_RUNTIME_OFFLINE", "1")  # nothing is ever fetched
    return chosen


@st.composite
def cases(draw: st.DrawFn, among: tuple[Command, ...]) -> Case:
    command = draw(st.sampled_from(among))
    return Case(
        arguments=draw(arguments_of(command)),
        environment=draw(environments()),
        encoding=draw(st.sampled_from(ENCODINGS)),
        stdin=draw(st.sampled_from([b"", b"hello", "Grüße\n".encode(), b"\xff\xfe", b"\0" * 100, None])),
        stdout=draw(st.sampled_from(["pipe"] * 6 + ["closed", "full"])),
        stderr=draw(st.sampled_from(["pipe"] * 8 + ["closed", "full"])),
    )


def write_files(folder: Path) -> None:
    """The files that the random command lines name."""
    model = tiny_llama_gguf()
    contents = {
        "tiny.gguf": model,
        "caf\udce9.gguf": model,
        "名前.gguf": model,
        "cut.gguf": model[:-1000],
        "empty.gguf": b"",
        "text.gguf": b"version https://git-lfs.github.com/spec/v1\n",
        "vocabulary.gguf": gguf_bytes({"general.architecture": "llama"}, {"a.weight": np.ones(32)}),
        "text.txt": b"Once upon a time, in a land far away.\n" * 50,
        "schema.json": b'{"type": "object", "properties": {"a": {"type": "integer"}}}',
        "rubbish.json": b'{"type": [',
        "sound.wav": wav_bytes(sine(0.2, 16_000), 16_000),
        "bytes.bin": bytes(range(256)) * 4,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "broken.gguf").symlink_to("nowhere")
    (folder / "folder").mkdir()
    write_llama(folder / "checkpoint")
