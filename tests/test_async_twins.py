"""The asyncio twins have every name and keyword of their originals."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from edge_runtime.runtime.async_runtime import AsyncRuntime
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.runtime.stream import AsyncTextStream, TextStream
from edge_runtime.speech.async_runtime import AsyncSpeechRuntime, AsyncSpeechStream
from edge_runtime.speech.listening.stream import SpeechStream
from edge_runtime.speech.runtime import SpeechRuntime

TWINS: list[tuple[type, type]] = [
    (Runtime, AsyncRuntime),
    (TextStream, AsyncTextStream),
    (SpeechRuntime, AsyncSpeechRuntime),
    (SpeechStream, AsyncSpeechStream),
]

# Python's own protocols, by their asyncio names.
_RENAMED = {
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "__iter__": "__aiter__",
    "__next__": "__anext__",
}
_INTERNAL = {"start_transcription"}  # takes a Progress of any kind, for the commands
# They hand over a request or a wish without waiting for anything.
_NEVER_AWAITED = {"cancel", "stop", "__aiter__"}


def public_names(kind: type) -> Iterator[str]:
    for name in dir(kind):
        if (name in _RENAMED or not name.startswith("_")) and name not in _INTERNAL:
            yield name


def parameters(function: Any) -> list[tuple[str, Any, Any, Any]]:
    """Name, kind, default and annotation of each, but self."""
    found = list(inspect.signature(function).parameters.values())
    return [(p.name, p.kind, p.default, p.annotation) for p in found if p.name != "self"]


CASES = [(sync, twin, name) for sync, twin in TWINS for name in public_names(sync)]


@pytest.mark.parametrize(
    ("sync", "twin", "name"), CASES, ids=[f"{sync.__name__}.{name}" for sync, _, name in CASES]
)
def test_the_twin_has_the_same_name_and_keywords(sync: type, twin: type, name: str) -> None:
    twin_name = _RENAMED.get(name, name)
    assert hasattr(twin, twin_name), f"{twin.__name__} has no {twin_name}"
    original = inspect.getattr_static(sync, name)
    its_twin = inspect.getattr_static(twin, twin_name)
    if isinstance(original, property):
        assert isinstance(its_twin, property)
        assert original.fget.__annotations__ == its_twin.fget.__annotations__
        return
    assert parameters(getattr(sync, name)) == parameters(getattr(twin, twin_name))
    awaited = inspect.iscoroutinefunction(getattr(twin, twin_name))
    assert awaited == (twin_name not in _NEVER_AWAITED)


@pytest.mark.parametrize("kind", [kind for pair in TWINS for kind in pair], ids=lambda kind: kind.__name__)
def test_every_public_name_says_what_it_is(kind: type) -> None:
    names = [name for name in public_names(kind) if not name.startswith("_")]
    own = [name for name in names if name in vars(kind)]
    assert own and [name for name in own if not inspect.getdoc(inspect.getattr_static(kind, name))] == []


def test_the_cases_are_worth_testing() -> None:
    names = {name for sync, _, name in CASES if sync is Runtime}
    assert {"open", "chat", "generate", "embed", "plan", "tokenize", "memory_usage", "submit"} <= names
