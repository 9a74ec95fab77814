"""Plans of models that are not here yet, and what a device can spare."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.memory_models import MB

from edge_runtime.catalog.catalog import ModelKind, find_manifest, list_models
from edge_runtime.device.cgroup import MemoryLimit
from edge_runtime.device.device import DeviceMemory
from edge_runtime.errors import MemoryBudgetExceeded, ModelUnsupported
from edge_runtime.memory import PartKind, PlanOptions, Platform, PlePolicy, plan_memory, safe_budget
from edge_runtime.memory.files import choose_file, plan_file
from edge_runtime.memory.known_shapes import stand_in_header

GB = 1_000_000_000
OPTIONS = PlanOptions(platform=Platform(cpu_features=frozenset({"avx2"})))
CHAT_MODELS = [manifest for manifest in list_models() if manifest.kind is ModelKind.CHAT]


# --- files -----------------------------------------------------------------------------


def test_the_finest_quantization_that_fits_is_chosen() -> None:
    manifest = find_manifest("gemma-3n-e2b-it")
    chosen = {
        budget_bytes: choose_file(manifest, OPTIONS, budget_bytes).file.quantization
        for budget_bytes in (None, 3 * GB, 2 * GB, GB)
    }
    assert chosen == {None: "Q8_0", 3 * GB: "Q8_0", 2 * GB: "Q4_K_M", GB: "Q4_K_M"}
    assert choose_file(manifest, OPTIONS, GB).plan.choices.streamed_bytes > 0


def test_two_gigabytes_hold_gemma_3n_with_its_table_on_flash() -> None:
    plan = choose_file(find_manifest("gemma-3n-e2b-it"), OPTIONS, 2 * GB).plan
    assert plan.choices.ple_policy is PlePolicy.CACHE and plan.context_tokens == 4096
    assert not plan.certain and plan.explanation[-1].endswith("models pull gemma-3n-e2b-it:Q4_K_M")


def test_no_file_fits_a_tiny_budget() -> None:
    with pytest.raises(MemoryBudgetExceeded, match="Q4_K_M"):
        choose_file(find_manifest("gemma-3-4b-it"), OPTIONS, 100 * MB)


@pytest.mark.parametrize("manifest", CHAT_MODELS, ids=lambda manifest: manifest.name)
def test_every_catalog_model_can_be_planned_before_it_is_here(manifest) -> None:  # type: ignore[no-untyped-def]
    for file in manifest.files:
        header = stand_in_header(manifest, file)
        assert header is not None
        assert header.tensor_bytes == pytest.approx(file.size_bytes, rel=0.01)
        total_bytes = plan_file(manifest, file, replace(OPTIONS, ple_policy=PlePolicy.RESIDENT)).total_bytes
        assert file.size_bytes < total_bytes < file.size_bytes + 800 * MB


def test_what_nobody_wrote_down_cannot_be_planned() -> None:
    manifest = find_manifest("gemma-3-270m")
    unknown = replace(manifest, name="someone-elses")
    with pytest.raises(ModelUnsupported, match="someone-elses:Q4_K_M cannot be planned"):
        plan_file(unknown, unknown.files[0])
    no_size = replace(manifest.files[0], size_bytes=0)
    with pytest.raises(ModelUnsupported):
        plan_file(manifest, no_size)


def test_a_stand_in_has_the_cache_of_the_real_model() -> None:
    # Gemma 4 E2B: 15 layers own a cache, 3 of them global with heads of 512, the others of 256
    manifest = find_manifest("gemma-4-e2b-it")
    header = stand_in_header(manifest, manifest.files[0])
    assert header is not None
    plan = plan_memory(header, replace(OPTIONS, context_tokens=8192, micro_batch_tokens=512))
    assert plan.part_bytes(PartKind.KV_CACHE) == 3 * 2048 * 8192 + 12 * 1024 * 1024


# --- budgets ---------------------------------------------------------------------------


def memory(available_bytes: int | None, *limits: MemoryLimit) -> DeviceMemory:
    return DeviceMemory(8 * GB, available_bytes, 0, 0, limits)


def test_the_tightest_bound_decides_and_is_named() -> None:
    group = MemoryLimit("/sys/fs/cgroup/memory.max", 2 * GB, GB // 2)
    limit = MemoryLimit("RLIMIT_AS", 3 * GB, None)
    budget = safe_budget(memory(4 * GB, limit, group), "Linux")
    assert budget.size_bytes == 1_425_000_000  # 1.5 GB are left, 5 % of them stay free
    assert "/sys/fs/cgroup/memory.max" in budget.reason
    budget = safe_budget(memory(GB, limit, group), "Linux")
    assert budget.size_bytes == GB - 64 * MB  # the smallest reserve
    assert "available" in budget.reason


def test_android_gets_a_share_of_what_is_available() -> None:
    # (4 GB - 6 % of 8 GB) x 0.7, less 5 %
    assert safe_budget(memory(4 * GB), "Android").size_bytes == 2_464_000_000 - 123_200_000


def test_an_unknown_system_has_no_budget() -> None:
    budget = safe_budget(DeviceMemory(None, None, None, None), "Windows")
    assert budget.size_bytes is None and "Windows does not say" in budget.reason


def test_next_to_nothing_is_still_a_budget() -> None:
    assert safe_budget(memory(10 * MB), "Linux").size_bytes == 5 * MB
    assert safe_budget(memory(0), "Linux").size_bytes == 1
