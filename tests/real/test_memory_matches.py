"""The planner's arithmetic against what llama.cpp itself logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import tiny_gemma3_gguf, tiny_llama_gguf

from edge_runtime.backends.context_settings import ContextSettings
from edge_runtime.backends.llama.dry_run import dry_run
from edge_runtime.backends.llama.repack import repack_type
from edge_runtime.device.device import read_cpu
from edge_runtime.gguf.header import read_header
from edge_runtime.memory import KvType, PartKind, PlanOptions, Platform, plan_memory
from edge_runtime.memory.weights import can_be_repacked

LOGGED_TO = 2**20 // 100  # llama.cpp prints hundredths of a MiB


def assert_matches(
    path: Path,
    context_tokens: int,
    micro_batch: int,
    kv_type: KvType,
    sequences: int,
    tolerance: float,
    flash_attention: bool = True,
) -> None:
    found = dry_run(
        path,
        ContextSettings(
            context_tokens,
            max_sequences=sequences,
            batch_tokens=micro_batch,
            kv_type=kv_type,
            flash_attention=flash_attention,
        ),
    )
    options = PlanOptions(
        context_tokens=context_tokens,
        micro_batch_tokens=micro_batch,
        kv_type=kv_type,
        max_sequences=sequences,
        flash_attention=flash_attention,
    )
    plan = plan_memory(read_header(path), options)
    assert plan.part_bytes(PartKind.KV_CACHE) == pytest.approx(found.kv_bytes, abs=LOGGED_TO)
    assert plan.choices.flash_attention is flash_attention
    assert plan.buffer_bytes == pytest.approx(found.compute_bytes, rel=tolerance, abs=LOGGED_TO)


CASES = [
    (512, 512, KvType.F16, 1),
    (4096, 128, KvType.F16, 1),
    (8192, 512, KvType.Q8_0, 1),
    (4096, 256, KvType.Q4_0, 1),
    (1000, 512, KvType.F16, 4),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_smollm2(smollm2_path: Path, case: tuple[int, int, KvType, int]) -> None:
    assert_matches(smollm2_path, *case, tolerance=0.1)


@pytest.mark.parametrize("case", [case for case in CASES if case[2] is KvType.F16], ids=str)
def test_plain_attention(smollm2_path: Path, case: tuple[int, int, KvType, int]) -> None:
    assert_matches(smollm2_path, *case, tolerance=0.05, flash_attention=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gemma(gemma_path: Path, case: tuple[int, int, KvType, int]) -> None:
    assert_matches(gemma_path, *case, tolerance=0.1)


@pytest.mark.parametrize("make", [tiny_llama_gguf, tiny_gemma3_gguf])
def test_tiny_models_have_the_cache_that_was_planned(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "tiny.gguf"
    path.write_bytes(make())
    assert_matches(path, 300, 64, KvType.F16, 3, tolerance=0.3)


@pytest.mark.parametrize("model", ["smollm2_path", "gemma_path"])
def test_what_is_repacked_is_what_ggml_would_repack(model: str, request: pytest.FixtureRequest) -> None:
    platform = Platform(cpu_features=read_cpu().features)
    for tensor in read_header(request.getfixturevalue(model)).tensors:
        asked = repack_type(int(tensor.type), tensor.shape) is not None
        assert can_be_repacked(tensor, platform) == asked, tensor
