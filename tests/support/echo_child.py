"""A child process for tests: does to itself what its task says, or answers."""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from typing import Any

from edge_runtime.device.children.answer import answer_task
from edge_runtime.errors import ModelNotFound


def work(task: dict[str, Any]) -> dict[str, Any]:
    if words := task.get("stderr"):
        sys.stderr.write(words)
        sys.stderr.flush()
    if "signal" in task:
        os.kill(os.getpid(), task["signal"])
    if "status" in task:
        os._exit(task["status"])
    if "sleep_s" in task:
        time.sleep(task["sleep_s"])
    if "not_found" in task:
        raise ModelNotFound("no such model", hint="look elsewhere", name="x", kept=[1])
    sys.stdout.write("what a native library prints\n")
    return {
        "modules": [name for name in task.get("modules", ()) if find_spec(name)],
        "environment": {name: os.environ.get(name) for name in task.get("variables", ())},
        "loaded": sorted(sys.modules),
    }


if __name__ == "__main__":
    sys.exit(answer_task(work))
