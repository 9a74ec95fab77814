"""The child's side of run_child(): a JSON task as its argument, one JSON line as its answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import EdgeRuntimeError
from .ending import REFUSED


def answer_task(work: Callable[[dict[str, Any]], Mapping[str, Any]]) -> int:
    """Do the task and print the answer, or the error that it ended with. Returns the exit status."""
    try:
        said: dict[str, Any] = {"answer": dict(work(json.loads(sys.argv[1])))}
    except EdgeRuntimeError as error:
        said = {"error": _told(error)}
    print(json.dumps(said), flush=True)  # noqa: T201 - the parent reads it
    return REFUSED if "error" in said else 0


def _told(error: EdgeRuntimeError) -> dict[str, Any]:
    facts = {name: fact for name, fact in error.facts.items() if isinstance(fact, (str, int, float, bool))}
    return {"kind": type(error).__name__, "message": str(error), "hint": error.hint, "facts": facts}
