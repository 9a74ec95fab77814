"""plan() and Runtime.open() make the same plan, whatever was asked for and whatever the device is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from edge_tools.inspect import inspect_model
from edge_tools.quantize import QuantizeOptions, quantize
from support.builders import hyperparameters, tiny_gemma3_gguf, tiny_llama_gguf
from support.quantized_models import write_e2b

import edge_runtime
from edge_runtime import KvType, LoadOptions, MemoryPlan, Runtime, plan, speech_parts
from edge_runtime.backends import llama
from edge_runtime.backends.guard import probe
from edge_runtime.backends.guard.probe import ProbeResult
from edge_runtime.device.device import DeviceMemory
from edge_runtime.errors import MemoryBudgetExceeded, ModelNotFound, OptionInvalid
from edge_runtime.memory import this_platform
from edge_runtime.runtime import planning

MB = 1_000_000
WORKS = ProbeResult(True, True, "loads and decodes")
NO_REPACKING = ProbeResult(True, False, "only without repacked weights")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> ProbeResult:
    """A device whose engine has been tried, and whose free memory does not change meanwhile."""
    memory = DeviceMemory(8000 * MB, 3000 * MB, 0, 0)
    monkeypatch.setattr(planning, "read_memory", lambda: memory)
    return know(monkeypatch, WORKS)


def know(monkeypatch: pytest.MonkeyPatch, result: ProbeResult) -> ProbeResult:
    """Let the crash guard remember this."""
    monkeypatch.setattr(probe, "probe_result", lambda: result)
    monkeypatch.setattr(planning, "probe_result", lambda: result)
    return result


def opened_plan(model: Path, **options: Any) -> MemoryPlan:
    with Runtime.open(model, **options) as runtime:
        assert runtime.generate("Once", max_tokens=2, ignore_end=True).usage.completion_tokens == 2
        return runtime.plan


OPTIONS: list[dict[str, Any]] = [
    {},
    {"budget": "2GB"},
    {"budget": "1GiB", "parallel": 3, "threads": 1},
    {"context_tokens": 64, "parallel": 2, "micro_batch_tokens": 32},
    {"beside": speech_parts(121_700_000), "budget": 900 * MB},
    {"repack": False, "flash_attention": False, "kv_type": "f16"},
    {"flash_attention": True, "threads": 2},
    {"residency": False},
    {"residency": False, "budget": "500MB"},
    {"gpu_layers": 0},
    {"children": False},
]


@pytest.mark.parametrize("make", [tiny_llama_gguf, tiny_gemma3_gguf])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_plan_is_the_plan_that_open_runs(
    known: ProbeResult, tmp_path: Path, make: Any, options: dict[str, Any]
) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(make())
    assert plan(path, **options) == opened_plan(path, **options)


@pytest.mark.parametrize("options", [{}, {"flash_attention": False}, {"gpu_layers": 0}], ids=str)
def test_on_a_gpu_build_too(
    known: ProbeResult, tiny: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Attention that is not flash would compute on the CPU; a fixed choice stands."""
    before = plan(tiny, **options)
    monkeypatch.setattr(llama, "supports_gpu", lambda: True, raising=False)
    found = plan(tiny, **options)
    assert found == opened_plan(tiny, **options)
    assert found.choices.flash_attention is (before.choices.flash_attention or not options)
    assert inspect_model(tiny).plan == plan_without_budget(tiny)


def plan_without_budget(path: Path) -> MemoryPlan:
    """As inspect shows it: the best settings, without a budget."""
    found = plan(path, budget="100GB")
    return replace(found, budget_bytes=None, explanation=inspect_explanation(path))


def inspect_explanation(path: Path) -> tuple[str, ...]:
    found = inspect_model(path).plan
    assert found is not None
    return found.explanation


@pytest.mark.parametrize("repack", [None, True, False])
@pytest.mark.parametrize("guard", [WORKS, NO_REPACKING], ids=lambda result: result.detail)
def test_where_repacked_weights_crash_nobody_repacks_them(
    known: ProbeResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    guard: ProbeResult,
    repack: bool | None,
) -> None:
    path = write_e2b(tmp_path / "e2b.gguf", "Q4_0")
    know(monkeypatch, guard)
    found = plan(path, repack=repack, budget="1GB")
    assert found == opened_plan(path, repack=repack, budget="1GB")
    may = guard.use_extra_bufts and bool(this_platform().cpu_features & {"avx2", "dotprod"})
    assert repacks(found) is (may and repack is not False)
    inspected = inspect_model(path).plan
    assert inspected is not None and repacks(inspected) is may


@pytest.mark.parametrize("guard", [WORKS, NO_REPACKING], ids=lambda result: result.detail)
def test_quantize_plans_its_result_for_this_device_too(
    known: ProbeResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: ProbeResult
) -> None:
    source = write_e2b(tmp_path / "e2b.gguf", "F16")
    know(monkeypatch, guard)
    result = quantize(source, None, QuantizeOptions(type="Q4_0", dry_run=True)).plan
    may = guard.use_extra_bufts and bool(this_platform().cpu_features & {"avx2", "dotprod"})
    assert result is not None and repacks(result) is may


def repacks(found: MemoryPlan) -> bool:
    return any(part.kind.value.endswith("_repacked") for part in found.parts)


def test_tight_budgets_are_planned_alike(known: ProbeResult, tmp_path: Path) -> None:
    path = write_e2b(tmp_path / "e2b.gguf", "Q4_0")
    whole = plan(path, budget="1GB")
    for budget in (whole.full_speed_bytes, whole.comfortable_bytes, whole.minimum_bytes):
        assert plan(path, budget=budget) == opened_plan(path, budget=budget)


@pytest.mark.parametrize("budget", ["1GB", "60MB", None])
def test_where_only_llama_cpp_knows_the_buffers_both_ask_it(
    known: ProbeResult, tmp_path: Path, budget: str | None
) -> None:
    """An architecture that the arithmetic is not sure of, and that llama.cpp runs."""
    path = tmp_path / "smollm3.gguf"
    keys = hyperparameters("smollm3", {"attention.head_count_kv": 2, "rope.dimension_count": 8})
    path.write_bytes(tiny_llama_gguf(changes={"general.architecture": "smollm3", **keys}))
    found = plan(path, budget=budget)
    assert found == opened_plan(path, budget=budget) and not found.certain
    assert found != plan(path, budget=budget, children=False)  # by arithmetic alone


def test_where_the_engine_was_never_tried_it_is_tried_before_the_plan(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    run = planning.run_probe

    def counted(**options: Any) -> ProbeResult:
        tried.append(options)
        return run(**options)

    monkeypatch.setattr(planning, "run_probe", counted)
    first = plan(tiny, budget="1GB")
    assert len(tried) == 1
    assert first == opened_plan(tiny, budget="1GB") and len(tried) == 1  # it is remembered
    again = plan(tiny, budget="1GB")
    assert again == first and len(tried) == 1


def test_an_unknown_architecture_is_refused_by_both_alike(known: ProbeResult, tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(tiny_llama_gguf(changes={"general.architecture": "brandnew"}))
    refused = []
    for ask in (plan, opened_plan):
        with pytest.raises(edge_runtime.EdgeRuntimeError) as caught:
            ask(path, budget="1GB")
        refused.append((type(caught.value), str(caught.value)))
    assert refused[0] == refused[1]


def test_what_does_not_fit_is_refused_by_both_with_the_same_plan(known: ProbeResult, tiny: Path) -> None:
    plans = []
    for ask in (plan, opened_plan):
        with pytest.raises(MemoryBudgetExceeded, match=r"the budget is 20\.0 MB") as caught:
            ask(tiny, budget="20MB")
        assert caught.value.budget_bytes == 20 * MB < caught.value.minimum_bytes
        plans.append(caught.value.plan)
    assert isinstance(plans[0], MemoryPlan) and plans[0] == plans[1]


def test_a_catalog_model_is_planned_before_its_file_is_here() -> None:
    found = plan("gemma-3n-e2b-it:Q8_0", budget="2GB", context_tokens=1024)
    assert found.choices.file == "gemma-3n-E2B-it-Q8_0.gguf" and found.context_tokens == 1024
    assert not found.certain and found.budget_bytes == 2000 * MB
    with pytest.raises(ModelNotFound):
        plan("no-such-model")


def test_options_and_keywords_are_one() -> None:
    asked = LoadOptions(budget="2GB", context_tokens=512)
    name = "gemma-3n-e2b-it"
    assert plan(name, asked) == plan(name, budget=2000 * MB, context_tokens=512)
    assert plan(name, asked, context_tokens=256).context_tokens == 256
    assert asked.context_tokens == 512


def test_options_are_values() -> None:
    asked = LoadOptions(budget="2GB", kv_type="q8_0", ple="mapped", ple_locked="16MB", beside=[])
    assert asked == LoadOptions(
        budget=2000 * MB, kv_type=KvType.Q8_0, ple="mapped", ple_locked=16 * MB, beside=()
    )
    assert (asked.budget_bytes, asked.kv, asked.ple_locked_bytes) == (2000 * MB, KvType.Q8_0, 16 * MB)
    assert LoadOptions(**asked.as_json()) == asked
    in_binary = LoadOptions(budget="1GiB")
    assert replace(in_binary, budget=5).units is in_binary.units is not asked.units


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kv_type": "f32"}, r"^kv_type: 'f32' is not known"),
        ({"ple": "none"}, r"^ple: 'none' is not known"),
        ({"gpu_layers": -1}, r"^gpu_layers: -1 is not a whole number from 0"),
        ({"ple_locked": "much"}, r"^ple_locked: 'much' is not a size"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionInvalid, match=message):
        LoadOptions(**options)


def test_the_fields_and_the_keywords_agree() -> None:
    from edge_runtime.memory import LoadKeywords

    assert list(LoadKeywords.__annotations__) == list(LoadOptions.__dataclass_fields__)
