"""llama.cpp's own figures, and how they correct a plan."""

from __future__ import annotations

import pytest
from support.memory_models import MB, MIB, body, header

from edge_runtime.backends.llama.dry_run import DryRunSizes, DryRunTask, plan_with_dry_run, sizes_in
from edge_runtime.errors import MemoryBudgetExceeded
from edge_runtime.memory import PlanOptions, plan_memory

LOG = """
llama_context: constructing llama_context
llama_context:        CPU  output buffer size =     0.19 MiB
llama_kv_cache:        CPU KV buffer size =     0.00 MiB
llama_kv_cache: size =   90.00 MiB (  4096 cells,  30 layers,  1/1 seqs), K (f16):   45.00 MiB
llama_kv_cache: size =   10.50 MiB (   768 cells,  15 layers,  1/1 seqs), K (f16):    5.25 MiB
sched_reserve:        CPU compute buffer size =    17.51 MiB
"""
UNKNOWN = header("brandnew", 8, tensors=body(8, 50 * MB), attention__head_count=16)


def test_the_log_is_read() -> None:
    assert sizes_in(LOG) == DryRunSizes(
        compute_bytes=int(17.51 * MIB), kv_bytes=int(100.5 * MIB), output_bytes=int(0.19 * MIB)
    )


def never(task: DryRunTask) -> DryRunSizes:
    raise AssertionError("not wanted")


def test_a_plan_that_is_certain_needs_no_dry_run() -> None:
    known = header("llama", 8, tensors=body(8, 50 * MB), attention__head_count=16)
    assert plan_with_dry_run(known, PlanOptions(), None, run=never).certain


def test_an_uncertain_plan_takes_over_what_llama_cpp_says() -> None:
    tasks = []

    def run(task: DryRunTask) -> DryRunSizes:
        tasks.append(task)
        return DryRunSizes(compute_bytes=300 * MB, kv_bytes=77 * MB, output_bytes=0)

    plan = plan_with_dry_run(UNKNOWN, PlanOptions(), None, run=run)
    buffers = plan.part_bytes("compute buffers") + plan.part_bytes("attention masks")
    assert buffers == pytest.approx(300 * MB, abs=2)
    assert plan.part_bytes("KV cache") == pytest.approx(77 * MB, abs=2)
    assert tasks == [DryRunTask("some.gguf", 4096, 1, 256, "f16")]  # the same choices: one look is enough


def test_the_choice_is_made_again() -> None:
    budget = plan_memory(UNKNOWN).total_bytes + MB
    plan = plan_with_dry_run(
        UNKNOWN,
        PlanOptions(),
        budget,
        run=lambda task: DryRunSizes(task.micro_batch_tokens * MB, 100 * MB, 0),
    )
    assert plan.fits and plan.choices.micro_batch_tokens < 256


def test_what_does_not_fit_after_a_closer_look_is_refused() -> None:
    with pytest.raises(MemoryBudgetExceeded):
        plan_with_dry_run(UNKNOWN, PlanOptions(), 800 * MB, run=lambda _: DryRunSizes(900 * MB, 0, 0))


def test_what_fits_after_a_closer_look_is_accepted() -> None:
    budget = plan_memory(UNKNOWN).minimum_bytes - MB
    plan = plan_with_dry_run(UNKNOWN, PlanOptions(), budget, run=lambda _: DryRunSizes(1, 1, 0))
    assert plan.fits
