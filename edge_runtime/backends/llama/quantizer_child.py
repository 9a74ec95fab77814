"""The quantizer's child process: calls llama_model_quantize and passes its events on.

Run as a program. Standard input: a line of JSON (see quantizer.py), then the importance
matrix as 32-bit floats. Standard output: a line of JSON for each event (see quantizing.py).
Exit status 0, 1 when llama.cpp refuses, ENGINE_MISSING when it does not load, or death.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ...errors import EngineUnavailable
from .quantizing import quantize_all

ENGINE_MISSING = 3


class Events:
    """Events for the parent. When it has died, and cannot clean up, the output goes with us."""

    def __init__(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        self._outputs = [Path(task["output"]) for task in tasks if task["output"]]
        self._one_at_a_time = threading.Lock()

    def say(self, event: dict[str, Any]) -> None:
        with self._one_at_a_time:
            try:
                sys.stdout.write(json.dumps(event) + "\n")
                sys.stdout.flush()
            except OSError:
                self._give_up()

    def _give_up(self) -> NoReturn:
        for output in self._outputs:
            output.unlink(missing_ok=True)
        os._exit(1)


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of us: the parent decides
    tasks = json.loads(sys.stdin.buffer.readline())
    try:
        return 0 if quantize_all(tasks, _matrices(tasks), Events(tasks).say) else 1
    except EngineUnavailable as error:
        print(error, file=sys.stderr)  # noqa: T201 - the parent reads it
        return ENGINE_MISSING


def _matrices(tasks: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """From standard input, when they are asked for."""
    for task in tasks:
        for _, size in task["imatrix"]:
            yield sys.stdin.buffer.read(4 * size)


if __name__ == "__main__":
    sys.exit(main())
