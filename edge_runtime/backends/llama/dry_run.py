"""Sizes of a context's buffers from llama.cpp itself, without allocating or reading weights.

llama.cpp plans a model's compute graph and logs the size of its buffer. In a child
process, since a file that nobody has planned before may end it. Weights and cache
print as 0 here: those are arithmetic, see edge_runtime.memory.

Source: llama.cpp at 0c1e57098, src/llama-context.cpp, sched_reserve and output_reserve.
"""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ...device.children import run_child
from ...device.children.answer import answer_task
from ...errors import EngineUnavailable, ModelLoadFailed
from ..context_settings import ContextSettings

_TIME_LIMIT_S = 120.0
_BUFFER_LINE = re.compile(r"(\S+)\s+(compute|KV|output) buffer size =\s*([\d.]+) MiB")
_CACHE_LINE = re.compile(r"\bsize =\s*([\d.]+) MiB \(")


@dataclass(frozen=True)
class DryRunSizes:
    compute_bytes: int
    kv_bytes: int
    output_bytes: int


def dry_run(path: Path, settings: ContextSettings, *, children: bool | None = None) -> DryRunSizes:
    """What llama.cpp logs for this context, to a hundredth of a MiB, in a child process.

    Takes half a second. Raises ModelLoadFailed when llama.cpp refuses the file or dies of
    it, EngineUnavailable when it does not load, ChildUnavailable when no child process may
    or can be started (children: see why_no_children()).
    """
    task = {"path": str(path), "settings": settings.as_json()}
    end = run_child("edge_runtime.backends.llama.dry_run", task, limit_s=_TIME_LIMIT_S, children=children)
    if end.answer is not None:
        return DryRunSizes(**end.answer)
    if isinstance(end.error, EngineUnavailable):
        raise end.error
    raise ModelLoadFailed(
        f"{path}: llama.cpp cannot plan it: {end.describe()}", path=str(path), stage="dry run"
    )


def sizes_in(log: str) -> DryRunSizes:
    """The sizes that a log of llama.cpp's names; devices are summed."""
    found = {"compute": 0.0, "KV": 0.0, "output": 0.0}
    for _, kind, mib in _BUFFER_LINE.findall(log):
        found[kind] += float(mib)
    cache_mib = sum(float(mib) for mib in _CACHE_LINE.findall(log))
    return DryRunSizes(*(int(mib * 2**20) for mib in (found["compute"], cache_mib, found["output"])))


def _run_here(path: Path, settings: ContextSettings) -> DryRunSizes:
    """The child's work. Raises ModelLoadFailed and EngineUnavailable."""
    from .context_params import context_params
    from .library import native
    from .model import LlamaModel

    lines: list[str] = []
    c = native()
    callback = c.llama_log_callback(lambda _level, text, _user: lines.append(text.decode(errors="replace")))
    c.llama_log_set(callback, ctypes.c_void_p())
    model = LlamaModel(path, no_alloc=True, gpu_layers=0)
    if not c.llama_init_from_model(model.pointer, context_params(settings)):
        raise ModelLoadFailed("no context: " + " | ".join(line.strip() for line in lines[-3:]))
    return sizes_in("".join(lines))


def main() -> int:
    return answer_task(
        lambda task: asdict(_run_here(Path(task["path"]), ContextSettings.from_json(task["settings"])))
    )


if __name__ == "__main__":
    sys.exit(main())
