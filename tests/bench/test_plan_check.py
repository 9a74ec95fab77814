"""Plans for a short prompt, and their comparison. The child runs for real in tests/real."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.builders import tiny_llama_gguf
from support.memory_models import MB, body, header, option, tensor
from support.stand_in_python import python_that

import edge_runtime.bench.plan_check as measuring
from edge_runtime.backends.llama.dry_run import DryRunSizes
from edge_runtime.bench.plan_check import (
    Comparison,
    Found,
    MeasureTask,
    compare,
    file_pages_bytes,
    measure,
    task_of,
)
from edge_runtime.cli.command_line import main
from edge_runtime.cli.screen.plan_report import measured_lines
from edge_runtime.errors import ChildUnavailable, EngineUnavailable, MemoryBudgetExceeded, ModelNotFound
from edge_runtime.gguf.types import GgmlType
from edge_runtime.memory import Held, KvType, LoadOptions, MemoryPlan, PartKind, PlePolicy, plan_memory
from edge_runtime.memory.expected import different_ids, expected_at
from edge_runtime.values.units import ByteUnits

TABLES = [
    tensor("token_embd.weight", (1024, 200_000), GgmlType.Q8_0),
    tensor("output.weight", (1024, 200_000), GgmlType.Q8_0),
    tensor("per_layer_token_embd.weight", (2048, 200_000), GgmlType.Q8_0),
]
MODEL = header(
    "gemma4",
    8,
    tensors=[*body(8, 50 * MB), *TABLES],
    attention__head_count=16,
    attention__sliding_window=512,
    attention__sliding_window_pattern=np.array([layer % 4 != 3 for layer in range(8)]),
)


def found_for(plan: MemoryPlan, **changes: object) -> Found:
    """A child that held just what was planned."""
    libraries = plan.part_bytes(PartKind.LIBRARIES)
    exact = Found(
        anonymous_bytes=plan.anonymous_bytes,
        file_bytes=plan.file_bytes,
        locked_bytes=plan.locked_bytes,
        model_file_bytes=plan.file_bytes - libraries,
        choices=plan.choices.as_json(),
    )
    return replace(exact, **changes)  # type: ignore[arg-type]


def logged_for(plan: MemoryPlan) -> DryRunSizes:
    buffers = plan.part_bytes(PartKind.COMPUTE_BUFFERS) + plan.part_bytes(PartKind.ATTENTION_MASKS)
    return DryRunSizes(compute_bytes=buffers, kv_bytes=plan.part_bytes(PartKind.KV_CACHE), output_bytes=0)


# --- what is expected ------------------------------------------------------------------


def test_a_full_context_is_expected_as_planned_but_for_rows() -> None:
    plan = plan_memory(MODEL, option(ple_policy=PlePolicy.RESIDENT))
    full = expected_at(plan, plan.context_tokens, MODEL)
    rows = {"embedding rows"}
    assert [p for p in full.parts if p.name not in rows] == [p for p in plan.parts if p.name not in rows]


def test_masks_are_touched_as_far_as_the_tokens_go() -> None:
    plan = plan_memory(MODEL, option(context_tokens=32768))
    part = expected_at(plan, 1000, MODEL, answer_tokens=24).part_bytes(PartKind.ATTENTION_MASKS)
    # 256 rows of 1024 cells, in the full cache and 768 in the window's: 2 bytes each
    assert part == 2 * 256 * (1024 + 768)
    assert plan.part_bytes(PartKind.ATTENTION_MASKS) == 2 * 256 * (32768 + 768)


def test_scores_and_their_copy_are_touched_as_far_as_the_tokens_go() -> None:
    narrow = header("llama", 4, tensors=body(4, 32 * MB), attention__head_count=16)
    asked = option(context_tokens=8192, micro_batch_tokens=128, flash_attention=False)
    plan = plan_memory(narrow, asked)
    part = expected_at(plan, 1000, narrow, answer_tokens=24)
    assert plan.part_bytes(PartKind.SCRATCH_MEMORY) == 2 * 16 * 128 * 8192
    assert part.part_bytes(PartKind.SCRATCH_MEMORY) == 2 * 16 * 128 * 1024
    assert part.part_bytes(PartKind.ATTENTION_SCORES) < plan.part_bytes(PartKind.ATTENTION_SCORES) // 7
    assert expected_at(plan, 64, narrow).part_bytes(PartKind.SCRATCH_MEMORY) == 2 * 16 * 64 * 256


def test_later_layers_use_the_place_of_the_mask() -> None:
    pattern = np.array([layer % 4 != 3 for layer in range(10)])
    metadata = {
        **MODEL.metadata,
        "gemma4.block_count": 10,
        "gemma4.attention.sliding_window_pattern": pattern,
    }
    longer = replace(MODEL, metadata=metadata, tensors=(*MODEL.tensors[:-1],))
    plan = plan_memory(longer, option(context_tokens=32768))
    assert expected_at(plan, 1000, longer).part_bytes(PartKind.ATTENTION_MASKS) > 2 * 256 * (1024 + 768)
    last_sees = replace(longer, metadata={**metadata, "gemma4.block_count": 8})
    plan = plan_memory(last_sees, option(context_tokens=32768))
    assert expected_at(plan, 1000, last_sees).part_bytes(PartKind.ATTENTION_MASKS) == 2 * 256 * (1024 + 768)


def test_a_prompt_shorter_than_a_micro_batch_touches_less_of_the_buffers() -> None:
    plan = plan_memory(MODEL)
    short = expected_at(plan, 128, MODEL)
    assert short.part_bytes(PartKind.COMPUTE_BUFFERS) == plan.part_bytes(PartKind.COMPUTE_BUFFERS) // 2
    assert short.part_bytes(PartKind.SCRATCH_MEMORY) == plan.part_bytes(PartKind.SCRATCH_MEMORY) // 2
    assert short.part_bytes(PartKind.KV_CACHE) == plan.part_bytes(PartKind.KV_CACHE)


def test_rows_come_one_by_one_up_to_the_cap() -> None:
    plan = plan_memory(MODEL)
    assert plan.choices.ple_policy is PlePolicy.CACHE
    row_bytes = (1024 + 2048) // 32 * 34 + 2 * 4096  # of both tables, each on a page more
    assert expected_at(plan, 100, MODEL).part_bytes(PartKind.PLE_CACHE) == 100 * row_bytes
    assert expected_at(plan, 4096, MODEL).part_bytes(PartKind.PLE_CACHE) == 32 * MB
    assert expected_at(plan, 100, MODEL).part_bytes(PartKind.PLE) == plan.part_bytes(PartKind.PLE)


@pytest.mark.parametrize(("tokens", "different"), [(1, 1), (100, 100), (200_000, 126_424)])
def test_different_ids(tokens: int, different: int) -> None:
    assert different_ids(tokens, 200_000) == different


# --- the task and the comparison -------------------------------------------------------


def test_the_child_gets_the_choices() -> None:
    plan = plan_memory(MODEL, option(threads=2), 1500 * MB)
    task = task_of(MODEL, plan, LoadOptions(threads=2, ple_locked="4MB"), 2048)
    assert task.options == LoadOptions(
        budget=1500 * MB,
        context_tokens=4096,
        kv_type="f16",
        micro_batch_tokens=plan.choices.micro_batch_tokens,
        repack=plan.choices.repack,
        flash_attention=plan.choices.flash_attention,
        ple="cache",
        ple_locked="4MB",
        threads=2,
        gpu_layers=0,
    )
    assert (task.prompt_tokens, task.answer_tokens) == (2048, 16)


@pytest.mark.parametrize(("context", "prompt", "answer"), [(512, 472, 16), (41, 1, 16), (2, 1, 1)])
def test_the_prompt_leaves_room(context: int, prompt: int, answer: int) -> None:
    plan = plan_memory(MODEL, option(context_tokens=context))
    task = task_of(MODEL, plan, LoadOptions(context_tokens=context), 2048)
    assert (task.prompt_tokens, task.answer_tokens) == (prompt, answer)


def test_where_weights_are_streamed_the_child_plans_again() -> None:
    options = option(kv_type=KvType.Q8_0)
    plan = plan_memory(MODEL, options, plan_memory(MODEL, options).minimum_bytes)
    assert plan.choices.streamed_bytes
    task = task_of(MODEL, plan, LoadOptions(kv_type="q8_0"), 2048)
    assert task.options == LoadOptions(budget=plan.budget_bytes, kv_type=KvType.Q8_0, threads=1, gpu_layers=0)


def test_a_child_as_planned_has_no_error() -> None:
    plan = plan_memory(MODEL)
    task = task_of(MODEL, plan, LoadOptions(), 2048)
    expected = expected_at(plan, 2048, MODEL, answer_tokens=16)
    measured = compare(MODEL, plan, task, replace(found_for(plan), **_groups(expected)), logged_for(plan))
    assert measured.error == 0 and measured.as_planned
    errors = {part.name: part.error for part in measured.parts}
    assert errors["KV cache"] == errors["other anonymous"] == 0
    as_json = measured.as_json()
    assert as_json["total_bytes"] == as_json["anonymous_bytes"] + as_json["file_bytes"]
    assert as_json["prompt_tokens"] == 2048 and as_json["parts"]


def _groups(plan: MemoryPlan) -> dict[str, int]:
    return {"anonymous_bytes": plan.anonymous_bytes, "file_bytes": plan.file_bytes}


def test_an_error_is_planned_over_measured() -> None:
    assert Comparison("some", 110, 100).error == pytest.approx(0.1)
    assert Comparison("none", 0, 0).error == 0 and Comparison("some", 5, 0).error == 1


def test_the_table_is_at_most_80_columns_wide() -> None:
    plan = plan_memory(MODEL)
    task = task_of(MODEL, plan, LoadOptions(), 2048)
    measured = compare(MODEL, plan, task, found_for(plan, choices={}), logged_for(plan))
    lines = list(measured_lines(measured, ByteUnits.DECIMAL))
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Measured in a child process: 2048 + 16 random tokens"
    assert any(line.startswith("It chose other settings") for line in lines)
    assert any(line.startswith("KV cache") and line.endswith("+0.0%") for line in lines)


# --- the child's words -----------------------------------------------------------------


def test_pages_of_the_file_are_told_from_others(tmp_path: Path) -> None:
    smaps = f"""\
7f00-7f10 r--p 00000000 08:01 1    {tmp_path}/model.gguf
Size:                 64 kB
Rss:                  40 kB
7f10-7f20 r--p 00000000 08:01 2    /usr/lib/libc.so
Rss:                  20 kB
7f20-7f30 rw-p 00000000 00:00 0
Rss:                   8 kB
7f30-7f40 r--p 00000000 08:01 1    {tmp_path}/model.gguf
Rss:                   2 kB
"""
    assert file_pages_bytes(tmp_path / "model.gguf", smaps) == 42 * 1024


def test_the_childs_error_becomes_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({"error": {"kind": "MemoryBudgetExceeded", "message": "too much", "hint": "less"}})
    task = task_of(MODEL, plan_memory(MODEL), LoadOptions(), 10)
    python_that(f"echo noise; echo '{told}'; exit 1", tmp_path, monkeypatch)
    with pytest.raises(MemoryBudgetExceeded, match="measuring: too much") as caught:
        measuring._run_child(task)
    assert caught.value.hint == "less"
    python_that("kill -KILL $$", tmp_path, monkeypatch)
    with pytest.raises(EngineUnavailable, match="SIGKILL"):
        measuring._run_child(task)


def test_measuring_says_that_it_needs_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")
    with pytest.raises(ChildUnavailable, match=r"measuring needs a child process.*CHILDREN=no"):
        measure(MODEL, plan_memory(MODEL), LoadOptions(threads=1))


def test_a_file_that_is_gone_is_the_childs_error(tmp_path: Path) -> None:
    gone = replace(MODEL, path=tmp_path / "gone.gguf", paths=(tmp_path / "gone.gguf",))
    with pytest.raises(ModelNotFound):
        measure(gone, plan_memory(gone), LoadOptions(threads=1))


def test_plan_measure_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())

    def child(task: MeasureTask) -> Found:
        assert task.path == str(path) and task.prompt_tokens == 216
        return Found(100 * MB, 50 * MB, 0, 20 * MB, {})

    monkeypatch.setattr(measuring, "_run_child", child)
    monkeypatch.setattr(measuring, "_logged", lambda _task, plan: logged_for(plan))
    assert main(["plan", str(path), "--measure", "--json", "--budget", "1GB"]) == 0
    measured = json.loads(capsys.readouterr().out)["measured"]
    assert {"anonymous_bytes", "file_bytes", "total_bytes", "error", "prompt_tokens", "parts"} <= set(
        measured
    )
    assert measured["total_bytes"] == 150 * MB
    assert main(["plan", str(path), "--measure"]) == 0
    assert "Measured in a child process: 216 + 16 random tokens" in capsys.readouterr().out


def test_tasks_travel_as_json() -> None:
    task = task_of(MODEL, plan_memory(MODEL), LoadOptions(ple="mapped", children=False), 10)
    assert MeasureTask.from_json(json.loads(json.dumps(task.as_json()))) == task
    assert all(part.held is not Held.LOCKED for part in plan_memory(MODEL).parts)
