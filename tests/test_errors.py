"""The error tree: its drawing, its exit statuses and its pickles agree with the classes."""

from __future__ import annotations

import pickle
import re

import pytest

from edge_runtime import errors
from edge_runtime.cli.screen.exit_status import STATUS_OF, exit_status_of
from edge_runtime.errors import EdgeRuntimeError

# Indentation, name, and the class outside our tree that it also is.
_DRAWN = re.compile(r"^(?P<indent> *)(?P<name>[A-Z]\w+) +(?:\((?P<base>\w+)\))?", re.M)


def walk(kind: type[EdgeRuntimeError]) -> list[type[EdgeRuntimeError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in walk(child))]


def ours(kind: type) -> bool:
    return kind.__module__ == errors.__name__


CLASSES = [kind for kind in walk(EdgeRuntimeError) if ours(kind)]
LEAVES = [kind for kind in CLASSES if not any(ours(child) for child in kind.__subclasses__())]


def drawn_tree() -> dict[str, tuple[str, str]]:
    """Name -> (parent, extra base or ''), read from the module's docstring."""
    drawing = (errors.__doc__ or "").partition("\n\n")[2]
    tree: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    for line in drawing.splitlines():
        found = _DRAWN.match(line + "  ")
        assert found, f"not drawn as a class: {line!r}"
        depth = len(found["indent"]) // 2
        path[depth:] = [found["name"]]
        tree[found["name"]] = (path[depth - 1] if depth else "", found["base"] or "")
    return tree


def real_tree() -> dict[str, tuple[str, str]]:
    tree = {}
    for kind in CLASSES:
        parents = [base.__name__ for base in kind.__bases__ if ours(base)]
        extras = [base.__name__ for base in kind.__bases__ if not ours(base)]
        if kind is EdgeRuntimeError:
            extras = []  # Exception
        tree[kind.__name__] = (parents[0] if parents else "", extras[0] if extras else "")
    return tree


def test_drawing_shows_every_class_with_its_parent_and_its_builtin() -> None:
    assert drawn_tree() == real_tree()


def test_tree_is_worth_testing() -> None:
    assert len(LEAVES) >= 17


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_leaf_has_an_exit_status_of_its_own(kind: type[EdgeRuntimeError]) -> None:
    assert kind in STATUS_OF
    assert exit_status_of(kind("message")) == STATUS_OF[kind]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling(kind: type[EdgeRuntimeError]) -> None:
    error = kind("what happened", hint="what to do", path="/x", needed_bytes=7)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.hint, again.facts) == (
        "what happened",
        "what to do",
        {"path": "/x", "needed_bytes": 7},
    )


def test_codes_are_the_names_in_small_letters_and_unique() -> None:
    codes = [kind.code for kind in CLASSES]
    assert codes == [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower() for kind in CLASSES]
    assert len(set(codes)) == len(codes)


def test_a_builtin_handler_catches_the_error() -> None:
    with pytest.raises(FileNotFoundError, match="no such model"):
        raise errors.ModelNotFound("no such model")


def test_facts_that_callers_read_are_typed_attributes() -> None:
    full = errors.ContextFull("full", prompt_tokens=70, context_tokens=64)
    assert (full.prompt_tokens, full.context_tokens) == (70, 64)
    assert errors.ContextFull("the cache is full").prompt_tokens is None
    assert errors.OptionInvalid("seed: no", option="seed").option == "seed"
    assert errors.BackendFailed("x", session_good=True).session_good
    assert not errors.BackendFailed("x").session_good
    over = errors.MemoryBudgetExceeded("over", plan=(1,), budget_bytes=9, minimum_bytes=12, used_bytes=10)
    over = pickle.loads(pickle.dumps(over))
    assert (over.plan, over.budget_bytes, over.minimum_bytes, over.used_bytes) == ((1,), 9, 12, 10)
    told = errors.MemoryBudgetExceeded("as a child process tells it")
    assert (told.plan, told.budget_bytes) == (None, 0)
    disk = pickle.loads(pickle.dumps(errors.StorageFull("no room", needed_bytes=9, free_bytes=4)))
    assert (disk.needed_bytes, disk.free_bytes) == (9, 4)
    assert errors.StorageFull("no room", needed_bytes="nine").needed_bytes is None
