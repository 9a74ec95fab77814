"""A plan beside what a process really holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.bench.plan_check import measure
from edge_runtime.device.process_memory import resident_kinds
from edge_runtime.gguf.header import read_header
from edge_runtime.memory import KvType, LoadOptions
from edge_runtime.runtime.planning import plan

pytestmark = pytest.mark.skipif(resident_kinds() is None, reason="this system does not tell kinds of memory")


@pytest.mark.parametrize(("context", "kv_type"), [(1024, KvType.F16), (4096, KvType.Q8_0)])
def test_smollm2_holds_what_was_planned(smollm2_path: Path, context: int, kv_type: KvType) -> None:
    options = LoadOptions(budget="2GB", context_tokens=context, kv_type=kv_type, gpu_layers=0)
    measured = measure(
        read_header(smollm2_path), plan(smollm2_path, options), options, most_prompt_tokens=512
    )
    assert measured.as_planned
    assert abs(measured.error) <= 0.05, measured.as_json()
    by_name = {part.name: part for part in measured.parts}
    assert abs(by_name["KV cache"].error) <= 0.001 and abs(by_name["model file"].error) <= 0.02


def test_a_full_context_of_plain_attention_holds_what_was_planned(smollm2_path: Path) -> None:
    """A short prompt would not tell: scores grow with the context, and the kernels copy them."""
    options = LoadOptions(budget="2GB", context_tokens=2048, kv_type="f16", flash_attention=False)
    measured = measure(read_header(smollm2_path), plan(smollm2_path, options), options)
    assert measured.task.prompt_tokens > 2000
    by_name = {part.name: part for part in measured.parts}
    assert abs(by_name["other anonymous"].error) <= 0.07, measured.as_json()  # without the copies: -0.12
