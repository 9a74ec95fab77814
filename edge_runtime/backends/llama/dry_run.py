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
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...device.children import run_child
from ...device.children.answer import answer_task
from ...errors import ChildUnavailable, EngineUnavailable, MemoryBudgetExceeded, ModelLoadFailed

if TYPE_CHECKING:  # the child needs neither numpy nor the planner
    from ...gguf.header import GgufHeader
    from ...memory import MemoryPlan, PlanOptions

_TIME_LIMIT_S = 120.0
_GGML_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}  # source: enum ggml_type
_BUFFER_LINE = re.compile(r"(\S+)\s+(compute|KV|output) buffer size =\s*([\d.]+) MiB")
_ROUNDS = 3  # another plan may need another look
_CACHE_LINE = re.compile(r"\bsize =\s*([\d.]+) MiB \(")


@dataclass(frozen=True)
class DryRunTask:
    path: str
    context_tokens: int  # of one conversation
    max_sequences: int
    micro_batch_tokens: int
    kv_type: str  # "f16", "q8_0" or "q4_0"
    flash_attention: bool = True


@dataclass(frozen=True)
class DryRunSizes:
    compute_bytes: int
    kv_bytes: int
    output_bytes: int


def dry_run(task: DryRunTask, *, children: bool | None = None) -> DryRunSizes:
    """What llama.cpp logs for this context, to a hundredth of a MiB.

    Takes half a second. Raises ModelLoadFailed when llama.cpp refuses the file or dies of
    it, EngineUnavailable when it does not load, ChildUnavailable when no child process may
    or can be started (children: see why_no_children()).
    """
    end = run_child(
        "edge_runtime.backends.llama.dry_run", asdict(task), limit_s=_TIME_LIMIT_S, children=children
    )
    if end.answer is not None:
        return DryRunSizes(**end.answer)
    if isinstance(end.error, EngineUnavailable):
        raise end.error
    raise ModelLoadFailed(
        f"{task.path}: llama.cpp cannot plan it: {end.describe()}", path=task.path, stage="dry run"
    )


def plan_with_dry_run(
    header: GgufHeader,
    options: PlanOptions,
    budget_bytes: int | None,
    *,
    run: Callable[[DryRunTask], DryRunSizes] | None = None,
    children: bool | None = None,
) -> MemoryPlan:
    """plan_memory(); where its arithmetic is not certain, with llama.cpp's own figures.

    The buffers that llama.cpp plans for a first choice correct the arithmetic, and
    the choice is made again. Where no child process can be started (children: see
    why_no_children()) the arithmetic stands, and the plan says so.
    Raises what plan_memory() and dry_run() raise.
    """
    from ...memory import plan_memory

    run = run or partial(dry_run, children=children)
    try:
        plan, refusal = plan_memory(header, options, budget_bytes), None
    except MemoryBudgetExceeded as error:
        plan, refusal = error.facts["plan"], error  # type: ignore[assignment]
    for _ in range(_ROUNDS):
        if plan.certain:
            break
        try:
            found = run(_task_of(header, plan))
        except ChildUnavailable as error:
            plan = _by_arithmetic_alone(plan, error)
            break
        options = _corrected(options, plan, found)
        try:
            following, refusal = plan_memory(header, options, budget_bytes), None
        except MemoryBudgetExceeded as error:
            following, refusal = error.facts["plan"], error  # type: ignore[assignment]
        settled, plan = following.choices == plan.choices, following
        if settled:
            break
    if refusal is not None:
        raise refusal
    return plan


def _by_arithmetic_alone(plan: MemoryPlan, error: ChildUnavailable) -> MemoryPlan:
    sentence = f"Sizes are by arithmetic alone, not checked with llama.cpp: {error}."
    return replace(plan, explanation=(*plan.explanation, sentence))


def _task_of(header: GgufHeader, plan: MemoryPlan) -> DryRunTask:
    choices = plan.choices
    return DryRunTask(
        str(header.path),
        choices.context_tokens,
        plan.max_sequences,
        choices.micro_batch_tokens,
        choices.kv_type.value,
        choices.flash_attention,
    )


def _corrected(options: PlanOptions, plan: MemoryPlan, found: DryRunSizes) -> PlanOptions:
    """The same options with the planner's arithmetic brought in line with what was found."""
    buffers = plan.buffer_bytes
    cache = plan.part_bytes("KV cache")
    return replace(
        options,
        compute_factor=options.compute_factor * found.compute_bytes / max(buffers, 1),
        kv_factor=options.kv_factor * found.kv_bytes / cache if cache else options.kv_factor,
    )


def sizes_in(log: str) -> DryRunSizes:
    """The sizes that a log of llama.cpp's names; devices are summed."""
    found = {"compute": 0.0, "KV": 0.0, "output": 0.0}
    for _, kind, mib in _BUFFER_LINE.findall(log):
        found[kind] += float(mib)
    cache_mib = sum(float(mib) for mib in _CACHE_LINE.findall(log))
    return DryRunSizes(*(int(mib * 2**20) for mib in (found["compute"], cache_mib, found["output"])))


def _run_here(task: DryRunTask) -> DryRunSizes:
    """The child's work. Raises ModelLoadFailed and EngineUnavailable."""
    from .library import native
    from .model import LlamaModel

    lines: list[str] = []
    c = native()
    callback = c.llama_log_callback(lambda _level, text, _user: lines.append(text.decode(errors="replace")))
    c.llama_log_set(callback, ctypes.c_void_p())
    model = LlamaModel(Path(task.path), no_alloc=True, gpu_layers=0)
    params = c.llama_context_default_params()
    params.n_ctx = task.context_tokens * task.max_sequences
    params.n_batch = params.n_ubatch = min(task.micro_batch_tokens, params.n_ctx)
    params.n_seq_max = params.n_outputs_max = task.max_sequences
    params.kv_unified, params.swa_full = True, False
    params.type_k = params.type_v = _GGML_TYPES[task.kv_type]
    if not task.flash_attention:
        params.flash_attn_type = 0  # source: enum llama_flash_attn_type
    if not c.llama_init_from_model(model.pointer, params):
        raise ModelLoadFailed("no context: " + " | ".join(line.strip() for line in lines[-3:]))
    return sizes_in("".join(lines))


def main() -> int:
    return answer_task(lambda task: asdict(_run_here(DryRunTask(**task))))


if __name__ == "__main__":
    sys.exit(main())
