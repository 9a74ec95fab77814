"""Trial of a grammar: a child process lets llama.cpp read it first, and follow it for some tokens.

Its parser and its matcher end the process that runs them when a grammar is too much for
them, or never come back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...device.children import run_child
from ...errors import ChildUnavailable, EngineUnavailable
from .probe_model import write_probe_model

_CHILD = "edge_runtime.backends.llama.grammar"
_TIME_LIMIT_S = 30.0  # the child gives itself 6 s of processor time; a busy machine needs longer


def try_grammar(text: str) -> str:
    """Why llama.cpp cannot follow this GBNF; empty when it can, or where no child process may be started.

    Raises EngineUnavailable when it could not be tried.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="edge-runtime-") as folder:
            (Path(folder) / "grammar.gbnf").write_bytes(text.encode())
            write_probe_model(Path(folder) / "probe.gguf")
            end = run_child(_CHILD, {"folder": folder}, limit_s=_TIME_LIMIT_S)
    except ChildUnavailable:
        return ""
    except OSError as error:
        raise EngineUnavailable(
            f"the grammar could not be tried out: no temporary file: {error}",
            hint="make room, or let TMPDIR name a folder that can be written",
        ) from error
    if end.answer is not None:
        return str(end.answer["problem"])
    if isinstance(end.error, EngineUnavailable):
        raise end.error
    return end.describe()
