"""The crash guard's child process: loads a model, makes a context, decodes if asked.

Run as a program, see device/children/answer.py; the answer is {"problem": ""} or llama.cpp's
words. Uses the binding alone, without numpy, the planner or the engine: a child starts in
half the time, and it is started for every new file.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

from ...device.children.answer import answer_task
from ...errors import EdgeRuntimeError
from .library import last_log_lines, native
from .model import LlamaModel


def try_model(path: Path, *, use_extra_bufts: bool, decode: bool) -> str:
    """Empty when all went well, else why not. Without `decode` no weights are read.

    Raises ModelLoadFailed and EngineUnavailable.
    """
    c = native()
    # The structure alone is the CPU's business: a GPU takes a second to start, and may be full.
    gpu_layers = None if decode else 0
    model = LlamaModel(path, use_extra_bufts=use_extra_bufts, no_alloc=not decode, gpu_layers=gpu_layers)
    model.tokenize("probe  it\n\n7", add_special=True, parse_special=True)
    params = c.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads = 64, 32, 32, 2
    context = c.llama_init_from_model(model.pointer, params)
    if not context:
        return "no context: " + " | ".join(last_log_lines())
    for count in (2, 1) if decode else ():
        tokens = (ctypes.c_int32 * count)()
        if code := c.llama_decode(context, c.llama_batch_get_one(tokens, count)):
            return f"decode failed with code {code}: " + " | ".join(last_log_lines())
    return ""


def try_task(task: dict[str, Any]) -> dict[str, str]:
    try:
        problem = try_model(
            Path(task["path"]), use_extra_bufts=bool(task["use_extra_bufts"]), decode=bool(task["decode"])
        )
    except EdgeRuntimeError as error:
        log: Any = error.facts.get("log") or (str(error),)
        problem = " | ".join(log)
    return {"problem": problem}


def main() -> int:
    return answer_task(try_task)


if __name__ == "__main__":
    sys.exit(main())
