"""Opening a model: plan, try it out in a child process, lay out its pages, load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..backends.backend import BackendOptions
from ..backends.guard.probe import guard_model
from ..catalog.catalog import ModelLocation
from ..errors import MemoryBudgetExceeded
from ..gguf.header import GgufHeader
from ..gguf.types import TensorInfo
from ..memory import Held, LoadOptions, MemoryPlan, PartKind, PlePolicy
from ..memory.residency import MemoryMonitor, ResidencyLayout, plan_layout
from .engine import Engine
from .planning import plan_and_engine, uses_gpu


@dataclass(frozen=True)
class OpenModel:
    engine: Engine
    plan: MemoryPlan
    monitor: MemoryMonitor

    def close(self) -> None:
        """Can be called twice."""
        try:
            self.monitor.close()
        finally:
            self.engine.close()


def open_engine(
    location: ModelLocation,
    header: GgufHeader,
    options: LoadOptions,
    on_progress: Callable[[float], None] | None,
) -> OpenModel:
    """Raises MemoryBudgetExceeded before anything is loaded; else as Runtime.open."""
    from ..backends.llama import LlamaBackend

    plan, known = plan_and_engine(header, options)
    can_repack = guard_model(location.path, known, children=options.children)
    settings = replace(
        BackendOptions.of_plan(plan),
        use_extra_bufts=can_repack and plan.choices.repack,
        gpu_layers=options.gpu_layers,
        residency=_layout(header, plan, options),
    )
    monitor = MemoryMonitor(plan.budget_bytes, base_bytes=_base_bytes(plan, options))
    engine = Engine(lambda: LlamaBackend(location.path, settings, progress=_reporting(on_progress)))
    opened = OpenModel(engine, plan, monitor)
    try:
        monitor.start(engine.backend.keeper)
    except BaseException:  # where no thread can be started, for example
        opened.close()
        raise
    return opened


def _base_bytes(plan: MemoryPlan, options: LoadOptions) -> int:
    """What the process holds without the model; of what is beside it, all may be open by now."""
    own_bytes = plan.part_bytes(PartKind.PYTHON, PartKind.LIBRARIES)
    return own_bytes + sum(part.size_bytes for part in options.beside)


def _layout(header: GgufHeader, plan: MemoryPlan, options: LoadOptions) -> ResidencyLayout | None:
    """None where weights leave for a GPU, their pages are not ours to manage, or all of them are in use."""
    from ..backends.llama import repack_type

    choices = plan.choices
    if not options.residency or uses_gpu(options):
        return None
    if not any(part.held is Held.FLASH for part in plan.parts):
        return None

    def repack(tensor: TensorInfo) -> bool:
        return choices.repack and repack_type(int(tensor.type), tensor.shape) is not None

    return plan_layout(
        header,
        repack=repack,
        streamed_bytes=choices.streamed_bytes,
        window_bytes=plan.part_bytes(PartKind.STREAMING_WINDOW),
        ple_policy=choices.ple_policy,
        ple_cache_bytes=choices.ple_cache_bytes if choices.ple_policy is PlePolicy.CACHE else None,
        ple_locked_bytes=options.ple_locked_bytes if choices.ple_policy is PlePolicy.CACHE else 0,
    )


def _reporting(on_progress: Callable[[float], None] | None) -> Callable[[float], bool] | None:
    if on_progress is None:
        return None

    def report(part: float) -> bool:
        on_progress(part)
        return True

    return report


def budget_exceeded(plan: MemoryPlan, used_bytes: int) -> MemoryBudgetExceeded:
    """For a request that comes while the process holds too much."""
    return MemoryBudgetExceeded(
        f"this process holds {plan.size_text(used_bytes)}, its budget is "
        f"{plan.size_text(plan.budget_bytes or 0)} (planned: {plan.describe()})",
        hint="what else runs in it has grown: free that, or open the model with a larger budget=",
        plan=plan,
        budget_bytes=plan.budget_bytes,
        used_bytes=used_bytes,
    )
