"""Memory plans for this device: exactly the ones that Runtime.open() carries out."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..backends.context_settings import ContextSettings
from ..backends.guard.probe import ProbeResult, probe_result, run_probe
from ..backends.llama.dry_run import DryRunSizes, dry_run
from ..catalog.catalog import find_file, locate, split_name
from ..device.device import default_threads, read_memory
from ..errors import ChildUnavailable, EngineUnavailable, MemoryBudgetExceeded, ModelNotFound
from ..gguf.check import check_header
from ..gguf.header import GgufHeader, read_header
from ..memory import (
    Budget,
    LoadOptions,
    MemoryPlan,
    PartKind,
    PlanOptions,
    load_options,
    plan_memory,
    safe_budget,
    this_platform,
)
from ..memory.files import choose_file, plan_file

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..memory import LoadKeywords

DryRun = Callable[[Path, ContextSettings], DryRunSizes]

_ROUNDS = 3  # another plan may need another look


def plan(
    model: str | Path, options: LoadOptions | None = None, **keywords: Unpack[LoadKeywords]
) -> MemoryPlan:
    """What Runtime.open() with the same arguments would hold in memory. No weight is read.

    For a catalog model whose file is not here yet: an estimate, from the manifest. On the first
    start a child process tries the engine out, and again where only llama.cpp knows its buffers.

    Raises MemoryBudgetExceeded, whose `plan` is the smallest there is, ModelNotFound,
    ModelFileInvalid, ModelUnsupported, ModelLoadFailed, EngineUnavailable or OptionInvalid.
    """
    asked = load_options(options, keywords)
    try:
        location = locate(model)
    except ModelNotFound as error:
        return _plan_from_manifest(str(model), asked, error)
    header = read_header(location.path)
    check_header(header)
    return plan_and_engine(header, asked)[0]


def plan_and_engine(header: GgufHeader, options: LoadOptions) -> tuple[MemoryPlan, ProbeResult | None]:
    """The plan for a file whose header has been checked, and what is known of the engine.

    None: no child process could try the engine out. Raises as plan().
    """
    budget_bytes = budget_of(options).size_bytes
    engine = probe_result()
    if engine is None:
        _refuse_at_once(header, options, budget_bytes)
        engine = try_engine(options.children)
    asked = plan_options(options, engine)
    return plan_with_dry_run(header, asked, budget_bytes, children=options.children), engine


def budget_of(options: LoadOptions) -> Budget:
    """What was asked for, else what is safe on this device now."""
    if options.budget_bytes is not None:
        return Budget(options.budget_bytes, "as asked for")
    if not options.residency:
        return Budget(None, "all pages are left to the system")
    return safe_budget(read_memory(), platform.system())


def try_engine(children: bool | None = None) -> ProbeResult | None:
    """What this build of llama.cpp does here; None where it cannot be tried or does not load."""
    try:
        return run_probe(children=children)
    except EngineUnavailable:
        return None


def plan_options(options: LoadOptions, engine: ProbeResult | None = None) -> PlanOptions:
    """The planner's options on this device, for all who plan.

    engine: what the crash guard knows; by default what it remembers. A build that has never
    run here is taken for one that repacks and has no GPU: asking it might end this process.
    """
    engine = engine or probe_result()
    works = engine is not None and engine.ok
    found = this_platform(can_repack=engine is None or not engine.ok or engine.use_extra_bufts)
    flash = options.flash_attention
    if flash is None and works and uses_gpu(options):
        flash = True
    return PlanOptions(
        context_tokens=options.context_tokens,
        kv_type=options.kv,
        micro_batch_tokens=options.micro_batch_tokens,
        repack=options.repack,
        flash_attention=flash,
        ple_policy=options.ple_policy,
        ple_locked_bytes=options.ple_locked_bytes,
        threads=options.threads or default_threads(),
        max_sequences=options.parallel,
        platform=found if options.residency else replace(found, can_release=False),
        beside=tuple(options.beside),
        byte_units=options.units,
    )


def uses_gpu(options: LoadOptions) -> bool:
    """Whether layers leave for a GPU. Loads llama.cpp."""
    from ..backends.llama import supports_gpu

    return options.gpu_layers != 0 and supports_gpu()


def plan_with_dry_run(
    header: GgufHeader,
    options: PlanOptions,
    budget_bytes: int | None,
    *,
    run: DryRun | None = None,
    children: bool | None = None,
) -> MemoryPlan:
    """plan_memory(); where its arithmetic is not certain, with llama.cpp's own figures.

    The buffers that llama.cpp plans for a first choice correct the arithmetic, and
    the choice is made again. Where no child process can be started (children: see
    why_no_children()) the arithmetic stands, and the plan says so.
    Raises what plan_memory() and dry_run() raise.
    """
    run = run or partial(dry_run, children=children)
    plan, refusal = _planned(header, options, budget_bytes)
    for _ in range(_ROUNDS):
        if plan.certain:
            break
        try:
            found = run(header.path, ContextSettings.of_plan(plan))
        except ChildUnavailable as error:
            plan = _by_arithmetic_alone(plan, error)
            break
        options = _corrected(options, plan, found)
        following, refusal = _planned(header, options, budget_bytes)
        settled, plan = following.choices == plan.choices, following
        if settled:
            break
    if refusal is not None:
        raise refusal
    return plan


def _by_arithmetic_alone(plan: MemoryPlan, error: ChildUnavailable) -> MemoryPlan:
    sentence = f"Sizes are by arithmetic alone, not checked with llama.cpp: {error}."
    return replace(plan, explanation=(*plan.explanation, sentence))


def _planned(
    header: GgufHeader, options: PlanOptions, budget_bytes: int | None
) -> tuple[MemoryPlan, MemoryBudgetExceeded | None]:
    """A plan; with a refusal, when it is the smallest one and that is too large."""
    try:
        return plan_memory(header, options, budget_bytes), None
    except MemoryBudgetExceeded as error:
        return error.plan, error


def _refuse_at_once(header: GgufHeader, options: LoadOptions, budget_bytes: int | None) -> None:
    """Raise MemoryBudgetExceeded before any child process: what cannot fit is not even tried."""
    smallest, refusal = _planned(header, plan_options(options), budget_bytes)
    if refusal is not None and smallest.certain:
        raise refusal


def _corrected(options: PlanOptions, plan: MemoryPlan, found: DryRunSizes) -> PlanOptions:
    """The same options with the planner's arithmetic brought in line with what was found."""
    buffers = plan.buffer_bytes
    cache = plan.part_bytes(PartKind.KV_CACHE)
    return replace(
        options,
        compute_factor=options.compute_factor * found.compute_bytes / max(buffers, 1),
        kv_factor=options.kv_factor * found.kv_bytes / cache if cache else options.kv_factor,
    )


def _plan_from_manifest(model: str, options: LoadOptions, not_found: ModelNotFound) -> MemoryPlan:
    try:
        manifest, file = find_file(model)
    except ModelNotFound:
        raise not_found from None
    budget_bytes = budget_of(options).size_bytes
    asked = plan_options(options)
    if split_name(model)[1]:
        return plan_file(manifest, file, asked, budget_bytes)
    return choose_file(manifest, asked, budget_bytes).plan
