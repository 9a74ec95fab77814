"""Flash attention or plain: which is planned, what it takes, and what a budget makes of it."""

from __future__ import annotations

import pytest
from support.memory_models import MB, body, header, option

from edge_runtime.memory import KvType, MemoryPlan, PartKind, Platform, plan_memory

X86 = Platform(cpu_features=frozenset({"avx2"}))
ARM = Platform(cpu_features=frozenset({"neon", "dotprod"}))
NARROW = header("llama", 4, tensors=body(4, 32 * MB), attention__head_count=16)  # 64 wide
WIDE = header("llama", 4, tensors=body(4, 32 * MB), attention__head_count=4)  # 256 wide


def is_flash(plan: MemoryPlan) -> bool:
    return plan.choices.flash_attention


def test_plain_attention_is_for_narrow_heads_on_x86() -> None:
    assert not is_flash(plan_memory(NARROW, option(platform=X86)))
    assert is_flash(plan_memory(NARROW, option(platform=ARM)))
    assert is_flash(plan_memory(WIDE, option(platform=X86)))
    assert is_flash(plan_memory(NARROW, option(platform=X86, flash_attention=True)))
    assert not is_flash(plan_memory(WIDE, option(platform=ARM, flash_attention=False)))


@pytest.mark.parametrize("kv_type", [KvType.Q8_0, KvType.Q4_0])
def test_a_quantized_cache_needs_flash_attention(kv_type: KvType) -> None:
    assert is_flash(plan_memory(NARROW, option(platform=X86, kv_type=kv_type)))
    assert is_flash(plan_memory(NARROW, option(platform=X86, kv_type=kv_type, flash_attention=False)))


def test_scores_are_counted_for_every_head_token_and_cell() -> None:
    asked = {"platform": X86, "context_tokens": 8192, "micro_batch_tokens": 128}
    plain, flash = (plan_memory(NARROW, option(**asked, flash_attention=choice)) for choice in (False, True))
    scores_bytes = 4 * 16 * 8192 * 128
    rows_bytes = 4 * 128 * (5 * 1024 + 2 * 1024)  # around it; 16 heads' values of 64 numbers
    masks_bytes = 4 * 8192 * 128
    assert plain.buffer_bytes == scores_bytes + rows_bytes + masks_bytes
    assert flash.part_bytes(PartKind.ATTENTION_SCORES) == 0
    assert flash.part_bytes(PartKind.ATTENTION_MASKS) == masks_bytes // 2
    assert plain.part_bytes(PartKind.SCRATCH_MEMORY) == scores_bytes // 2  # in half precision, for the values
    assert flash.part_bytes(PartKind.SCRATCH_MEMORY) < scores_bytes // 16
    assert (
        plain.total_bytes - flash.total_bytes >= plain.buffer_bytes - flash.buffer_bytes + scores_bytes // 4
    )


def test_the_micro_batch_makes_room_for_scores_unless_it_is_fixed() -> None:
    assert plan_memory(NARROW, option(platform=ARM)).choices.micro_batch_tokens == 256
    assert plan_memory(NARROW, option(platform=X86)).choices.micro_batch_tokens == 128
    short = plan_memory(NARROW, option(platform=X86, context_tokens=1024))
    assert short.choices.micro_batch_tokens == 128  # or more context would take less
    fixed = plan_memory(NARROW, option(platform=X86, micro_batch_tokens=512)).choices
    assert fixed.micro_batch_tokens == 512 and not fixed.flash_attention


def test_a_small_budget_takes_flash_attention_before_it_touches_the_cache() -> None:
    best = plan_memory(NARROW, option(platform=X86))
    assert any("plain attention" in line for line in best.explanation)
    smallest_plain = plan_memory(NARROW, option(platform=X86), best.full_speed_bytes)
    assert not is_flash(smallest_plain)
    below = plan_memory(NARROW, option(platform=X86), best.full_speed_bytes - 1)
    assert is_flash(below) and below.choices.kv_type is KvType.F16
    assert below.choices.context_tokens == best.choices.context_tokens
    assert any("Given up" in line and "the faster plain attention" in line for line in below.explanation)
    with_fixed = plan_memory(NARROW, option(platform=X86, flash_attention=False), best.full_speed_bytes - 1)
    assert not is_flash(with_fixed) and with_fixed.choices.kv_type is KvType.F16
