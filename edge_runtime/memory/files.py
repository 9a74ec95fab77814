"""Planning a catalog model that is not here yet, and choosing among its files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..catalog.manifest import Manifest, ModelFile
from ..errors import MemoryBudgetExceeded, ModelUnsupported
from .choose import plan_memory
from .known_shapes import stand_in_header
from .plan import MemoryPlan, PlanOptions


@dataclass(frozen=True)
class FileChoice:
    file: ModelFile
    plan: MemoryPlan  # never certain: only the file's size is known


def choose_file(
    manifest: Manifest, options: PlanOptions | None = None, budget_bytes: int | None = None
) -> FileChoice:
    """The largest file, which is the finest quantization, that fits without streaming, else the
    smallest that fits with it.

    Raises MemoryBudgetExceeded when none fits, ModelUnsupported when no size or shape is known.
    """
    by_size = sorted(manifest.files, key=lambda file: -file.size_bytes)
    streaming: FileChoice | None = None
    refusal: MemoryBudgetExceeded | None = None
    for file in by_size:
        try:
            plan = plan_file(manifest, file, options, budget_bytes)
        except MemoryBudgetExceeded as error:
            refusal = error
            continue
        if not plan.choices.streamed_bytes:
            return FileChoice(file, plan)
        streaming = FileChoice(file, plan)
    if streaming is None:
        assert refusal is not None  # a manifest has a file
        raise refusal
    return streaming


def plan_file(
    manifest: Manifest,
    file: ModelFile,
    options: PlanOptions | None = None,
    budget_bytes: int | None = None,
) -> MemoryPlan:
    """As plan_memory(), from what a manifest knows. Raises ModelUnsupported when that is too little."""
    header = stand_in_header(manifest, file)
    if header is None:
        raise ModelUnsupported(
            f"{manifest.name}:{file.quantization} cannot be planned before it is here",
            hint=f"edge-runtime models pull {manifest.name}:{file.quantization}",
            name=manifest.name,
        )
    plan = plan_memory(header, options, budget_bytes)
    note = (
        f"An estimate from the file's size, for it is not here yet: "
        f"edge-runtime models pull {manifest.name}:{file.quantization}"
    )
    return replace(plan, certain=False, explanation=(*plan.explanation, note))
