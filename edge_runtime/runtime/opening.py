"""Opening a model: plan, try out, lay out, load."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from ..backends.backend import BackendOptions
from ..backends.guard.probe import guard_model, probe_result
from ..catalog.catalog import ModelLocation
from ..device.device import default_threads, read_memory
from ..errors import MemoryBudgetExceeded, OptionInvalid
from ..gguf.header import GgufHeader
from ..gguf.types import TensorInfo
from ..memory import (
    Held,
    KvType,
    MemoryPart,
    MemoryPlan,
    PlanOptions,
    PlePolicy,
    plan_memory,
    safe_budget,
    this_platform,
)
from ..memory.residency import MemoryMonitor, ResidencyLayout, plan_layout
from ..values.checks import whole_number, whole_number_or_none
from ..values.units import ByteUnits, parse_bytes
from .engine import Engine

Choice = TypeVar("Choice", bound=Enum)


@dataclass(frozen=True)
class Wish:
    """What the user fixed. None: the planner picks."""

    plan: PlanOptions
    budget_bytes: int | None = None  # None: what is safe on this device now
    gpu_layers: int | None = None
    keep_residency: bool = True  # False: the mapping is left to the system, for comparison


@dataclass(frozen=True)
class Opened:
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
    location: ModelLocation, header: GgufHeader, wish: Wish, on_progress: Callable[[float], None] | None
) -> Opened:
    """Raises MemoryBudgetExceeded before anything is loaded; else as Runtime.open."""
    from ..backends.llama import LlamaBackend

    plan, use_extra_bufts = _plan_and_try(location, header, wish)
    layout = _layout(header, plan, wish)
    choices = plan.choices
    options = BackendOptions(
        choices.context_tokens,
        plan.max_sequences,
        choices.micro_batch_tokens,
        use_extra_bufts=use_extra_bufts and choices.repack,
        gpu_layers=wish.gpu_layers,
        kv_type=choices.kv_type.value,
        flash_attention=choices.flash_attention,
        residency=layout,
    )
    base_bytes = plan.part_bytes("Python") + plan.part_bytes("libraries")
    base_bytes += sum(part.size_bytes for part in wish.plan.beside)  # it may be open by now
    monitor = MemoryMonitor(plan.budget_bytes, base_bytes=base_bytes)
    engine = Engine(
        lambda: LlamaBackend(
            location.path, options, threads=choices.threads, progress=_reporting(on_progress)
        )
    )
    opened = Opened(engine, plan, monitor)
    try:
        monitor.start(engine.backend.keeper)
    except BaseException:  # where no thread can be started, for example
        opened.close()
        raise
    return opened


def _plan_and_try(location: ModelLocation, header: GgufHeader, wish: Wish) -> tuple[MemoryPlan, bool]:
    """The plan, and whether weights may be repacked here: children went first.

    The first plan comes before any child process: what cannot fit is not even tried.
    """
    budget_bytes = wish.budget_bytes
    if budget_bytes is None and wish.keep_residency:
        budget_bytes = safe_budget(read_memory(), platform.system()).size_bytes
    from ..backends.llama.dry_run import plan_with_dry_run

    known = probe_result()
    can_repack = known is None or known.use_extra_bufts
    plan = plan_memory(header, _options(wish, can_repack), budget_bytes)
    use_extra_bufts = guard_model(location.path)
    if use_extra_bufts != can_repack or not plan.certain:
        plan = plan_with_dry_run(header, _options(wish, use_extra_bufts), budget_bytes)
    return plan, use_extra_bufts


def _options(wish: Wish, can_repack: bool) -> PlanOptions:
    found = this_platform(can_repack=can_repack)
    if not wish.keep_residency:
        found = replace(found, can_release=False)
    plan = wish.plan
    if plan.flash_attention is None and _uses_gpu(wish):
        plan = replace(plan, flash_attention=True)
    return replace(plan, threads=plan.threads or default_threads(), platform=found)


def _uses_gpu(wish: Wish) -> bool:
    from ..backends.llama import supports_gpu

    return wish.gpu_layers != 0 and supports_gpu()


def _layout(header: GgufHeader, plan: MemoryPlan, wish: Wish) -> ResidencyLayout | None:
    """None where weights leave for a GPU, their pages are not ours to manage, or all of them are in use."""
    from ..backends.llama import repack_type

    choices = plan.choices
    if not wish.keep_residency or _uses_gpu(wish):
        return None
    if not any(part.held is Held.FLASH for part in plan.parts):
        return None

    def repack(tensor: TensorInfo) -> bool:
        return choices.repack and repack_type(int(tensor.type), tensor.shape) is not None

    return plan_layout(
        header,
        repack=repack,
        streamed_bytes=choices.streamed_bytes,
        window_bytes=plan.part_bytes("streaming window"),
        ple_policy=choices.ple_policy,
        ple_cache_bytes=choices.ple_cache_bytes if choices.ple_policy is PlePolicy.CACHE else None,
        ple_locked_bytes=wish.plan.ple_locked_bytes if choices.ple_policy is PlePolicy.CACHE else 0,
    )


def _reporting(on_progress: Callable[[float], None] | None) -> Callable[[float], bool] | None:
    if on_progress is None:
        return None

    def report(part: float) -> bool:
        on_progress(part)
        return True

    return report


def plan_options(
    *,
    context_tokens: int | None,
    kv_type: str | None,
    micro_batch_tokens: int | None,
    repack: bool | None,
    flash_attention: bool | None,
    ple: str | None,
    ple_locked: str | int | None,
    parallel: int,
    threads: int | None,
    beside: Sequence[MemoryPart] = (),
    byte_units: ByteUnits = ByteUnits.DECIMAL,
) -> PlanOptions:
    """From what Runtime.open was given to values; its defaults are there.

    Raises OptionInvalid for a word that is none of the allowed, and a count that is none.
    """
    return PlanOptions(
        context_tokens=whole_number_or_none("context_tokens", context_tokens),
        kv_type=None if kv_type is None else _one_of(KvType, kv_type, "kv"),
        micro_batch_tokens=whole_number_or_none("micro_batch_tokens", micro_batch_tokens),
        repack=repack,
        flash_attention=flash_attention,
        ple_policy=None if ple is None else _one_of(PlePolicy, ple, "ple"),
        ple_locked_bytes=0 if ple_locked is None else parse_bytes(ple_locked, option="ple-locked"),
        max_sequences=whole_number("parallel", parallel),
        threads=whole_number_or_none("threads", threads),
        beside=tuple(beside),
        byte_units=byte_units,
    )


def _one_of(kind: type[Choice], text: str, option: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise OptionInvalid(
            f"--{option}: {text[:40]!r} is not known", hint=f"one of {allowed}", option=option
        ) from None


def budget_exceeded(plan: MemoryPlan, used_bytes: int) -> MemoryBudgetExceeded:
    """For a request that comes while the process holds too much."""
    return MemoryBudgetExceeded(
        f"this process holds {plan.size_text(used_bytes)}, its budget is "
        f"{plan.size_text(plan.budget_bytes or 0)} (planned: {plan.describe()})",
        hint="what else runs in it has grown: free that, or open the model with a larger --budget",
        plan=plan,
        budget_bytes=plan.budget_bytes,
        used_bytes=used_bytes,
    )
