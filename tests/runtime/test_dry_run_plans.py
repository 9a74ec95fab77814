"""Plans that llama.cpp's own figures correct."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory_models import MB, body, header

from edge_runtime.backends.context_settings import ContextSettings
from edge_runtime.backends.llama.dry_run import DryRunSizes
from edge_runtime.errors import MemoryBudgetExceeded
from edge_runtime.memory import PartKind, PlanOptions, plan_memory
from edge_runtime.runtime.planning import plan_with_dry_run

UNKNOWN = header("brandnew", 8, tensors=body(8, 50 * MB), attention__head_count=16)


def never(path: Path, settings: ContextSettings) -> DryRunSizes:
    raise AssertionError("not wanted")


def test_a_plan_that_is_certain_needs_no_dry_run() -> None:
    known = header("llama", 8, tensors=body(8, 50 * MB), attention__head_count=16)
    assert plan_with_dry_run(known, PlanOptions(), None, run=never).certain


def test_an_uncertain_plan_takes_over_what_llama_cpp_says() -> None:
    tasks = []

    def run(path: Path, settings: ContextSettings) -> DryRunSizes:
        tasks.append((path, settings))
        return DryRunSizes(compute_bytes=300 * MB, kv_bytes=77 * MB, output_bytes=0)

    plan = plan_with_dry_run(UNKNOWN, PlanOptions(), None, run=run)
    buffers = plan.part_bytes(PartKind.COMPUTE_BUFFERS) + plan.part_bytes(PartKind.ATTENTION_MASKS)
    assert buffers == pytest.approx(300 * MB, abs=2)
    assert plan.part_bytes(PartKind.KV_CACHE) == pytest.approx(77 * MB, abs=2)
    assert tasks == [
        (Path("some.gguf"), ContextSettings(4096, batch_tokens=256))
    ]  # the same choices: one look


def test_the_choice_is_made_again() -> None:
    budget = plan_memory(UNKNOWN).total_bytes + MB
    plan = plan_with_dry_run(
        UNKNOWN,
        PlanOptions(),
        budget,
        run=lambda _, settings: DryRunSizes(settings.batch_tokens * MB, 100 * MB, 0),
    )
    assert plan.fits and plan.choices.micro_batch_tokens < 256


def test_what_does_not_fit_after_a_closer_look_is_refused() -> None:
    with pytest.raises(MemoryBudgetExceeded):
        plan_with_dry_run(UNKNOWN, PlanOptions(), 800 * MB, run=lambda *_: DryRunSizes(900 * MB, 0, 0))


def test_what_fits_after_a_closer_look_is_accepted() -> None:
    budget = plan_memory(UNKNOWN).minimum_bytes - MB
    plan = plan_with_dry_run(UNKNOWN, PlanOptions(), budget, run=lambda *_: DryRunSizes(1, 1, 0))
    assert plan.fits
