"""Choices of the planner for a budget, and its words about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory_models import MB, MIB, body, header, option, tensor

from edge_runtime.errors import MemoryBudgetExceeded
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgmlType
from edge_runtime.memory import (
    Held,
    KvType,
    MemoryPlan,
    PartKind,
    PlanOptions,
    Platform,
    PlePolicy,
    plan_memory,
)

# 32 layers of 128 KiB a token at F16: 512 MiB of cache for 4096 tokens, beside 1 GB of weights.
LLAMA = header("llama", 32, tensors=body(32, 32 * MB), attention__head_count=16)
# A gemma4 whose table of per-layer embeddings is as large as the rest.
WITH_PLE = header(
    "gemma4",
    8,
    tensors=[*body(8, 50 * MB), tensor("per_layer_token_embd.weight", (2048, 200_000), GgmlType.Q8_0)],
    attention__head_count=16,
    attention__sliding_window=512,
    attention__sliding_window_pattern=np.array([layer % 4 != 3 for layer in range(8)]),
)


def settings(plan: MemoryPlan) -> tuple[int, KvType, int, int]:
    choices = plan.choices
    return choices.context_tokens, choices.kv_type, choices.micro_batch_tokens, choices.streamed_bytes


def test_without_a_budget_all_but_the_per_layer_embeddings_is_in_memory() -> None:
    plan = plan_memory(WITH_PLE)
    assert settings(plan) == (4096, KvType.F16, 256, 0)
    assert plan.choices.repack and plan.choices.ple_policy is PlePolicy.CACHE
    assert plan.choices.ple_cache_bytes == 32 * MB
    assert plan.fits and plan.budget_bytes is None


def test_a_micro_batch_takes_no_more_buffers_than_it_is_worth() -> None:
    narrow = header("llama", 2, attention__head_count=16, feed_forward_length=1024)
    wide = header("llama", 2, attention__head_count=16, feed_forward_length=16_384)
    assert settings(plan_memory(narrow)) == (4096, KvType.F16, 512, 0)
    assert settings(plan_memory(wide)) == (4096, KvType.F16, 128, 0)
    assert settings(plan_memory(wide, option(micro_batch_tokens=512))) == (4096, KvType.F16, 512, 0)


def test_rows_that_stay_are_counted_and_locked() -> None:
    plan = plan_memory(WITH_PLE, option(ple_locked_bytes=5 * MB))
    assert plan.part_bytes(PartKind.PLE_LOCKED_ROWS) == plan.locked_bytes == 5 * MB
    more_bytes = plan.total_bytes - plan_memory(WITH_PLE).total_bytes
    assert 5 * MB < more_bytes < 5.02 * MB  # page tables, too


def test_where_pages_cannot_be_released_the_plan_says_so() -> None:
    platform = Platform(system="Windows", can_release=False)
    plan = plan_memory(WITH_PLE, option(platform=platform))
    assert any("Windows has no call that lets go" in line for line in plan.explanation)
    assert not any("no call" in line for line in plan_memory(WITH_PLE).explanation)


def test_the_trained_length_bounds_the_context() -> None:
    short = header("llama", 2, attention__head_count=16, context_length=1024)
    assert plan_memory(short).context_tokens == 1024


def test_what_is_given_up_first_second_and_third() -> None:
    whole = plan_memory(LLAMA).total_bytes
    assert settings(plan_memory(LLAMA, None, whole)) == (4096, KvType.F16, 256, 0)
    assert settings(plan_memory(LLAMA, None, whole - 1)) == (4096, KvType.F16, 128, 0)
    assert settings(plan_memory(LLAMA, None, whole - 100 * MIB)) == (4096, KvType.Q8_0, 64, 0)
    smaller = plan_memory(LLAMA, None, whole - 330 * MIB)
    assert 2048 <= smaller.context_tokens < 4096 and smaller.choices.kv_type is KvType.Q8_0
    assert settings(plan_memory(LLAMA, None, smaller.comfortable_bytes)) == (2048, KvType.Q4_0, 64, 0)


def test_streaming_begins_where_nothing_else_helps() -> None:
    comfortable = plan_memory(LLAMA).comfortable_bytes
    plan = plan_memory(LLAMA, None, comfortable - 1)
    # one byte over: that and the window of 32 MB, in whole megabytes
    assert settings(plan) == (2048, KvType.Q4_0, 64, 33 * MB)
    held = {part.name: part.held for part in plan.parts}
    assert held["body"] is Held.LOCKED and held["streamed weights"] is Held.FLASH
    assert plan.part_bytes(PartKind.STREAMING_WINDOW) == 32 * MB
    assert plan.total_bytes <= comfortable - 1


def test_streaming_stops_at_60_percent_of_the_weights() -> None:
    minimum = plan_memory(LLAMA).minimum_bytes
    plan = plan_memory(LLAMA, None, minimum)
    assert plan.choices.streamed_bytes == int(0.6 * LLAMA.tensor_bytes) // MB * MB
    assert plan.context_tokens == 256
    with pytest.raises(MemoryBudgetExceeded):
        plan_memory(LLAMA, None, minimum - 1)


def test_streaming_says_what_it_costs() -> None:
    budget = plan_memory(LLAMA).comfortable_bytes - 200 * MB
    guessed = " ".join(plan_memory(LLAMA, None, budget).explanation)
    assert "232 MB of weights are read from flash for every token: 0.23 s at 1.00 GB/s" in guessed
    assert "at most 4.3 tokens/s" in guessed and "200 MB more would hold everything" in guessed


def test_a_tied_embedding_stays_as_it_is_when_weights_are_streamed() -> None:
    tensors = [*body(8, 50 * MB), tensor("token_embd.weight", (1024, 100_000), GgmlType.Q4_0)]
    model = header("llama", 8, tensors=tensors, attention__head_count=16)
    options = option(platform=Platform(cpu_features=frozenset({"avx2"})))
    budget = plan_memory(model, options).comfortable_bytes - 50 * MB
    parts = {part.kind: part for part in plan_memory(model, options, budget).parts}
    assert (
        parts[PartKind.EMBEDDING].held is Held.LOCKED and parts[PartKind.EMBEDDING].size_bytes == 57_600_000
    )
    assert PartKind.OUTPUT_REPACKED not in parts


def test_without_streaming_the_context_goes_on_shrinking() -> None:
    options = option(may_stream=False)
    plan = plan_memory(LLAMA, options, plan_memory(LLAMA, options).minimum_bytes)
    assert settings(plan) == (256, KvType.Q4_0, 64, 0)
    assert plan.minimum_bytes == plan.comfortable_bytes == plan.total_bytes


def test_per_layer_embeddings_are_on_flash_unless_asked_for() -> None:
    whole = plan_memory(WITH_PLE)
    plan = plan_memory(WITH_PLE, None, whole.total_bytes)
    assert plan.choices == whole.choices
    assert any("stay on flash" in line for line in plan.explanation)
    assert not any("Given up" in line for line in plan.explanation)
    asked = plan_memory(WITH_PLE, option(ple_policy=PlePolicy.RESIDENT))
    assert asked.choices.ple_policy is PlePolicy.RESIDENT
    assert asked.part_bytes(PartKind.PLE) > 32 * MB and asked.total_bytes > whole.total_bytes
    tightest = plan_memory(WITH_PLE, None, whole.minimum_bytes)
    assert tightest.choices.ple_cache_bytes == 4 * MB


def test_where_no_page_can_be_released_nothing_is_streamed_or_capped() -> None:
    options = option(platform=Platform(system="Windows", cpu_features=frozenset({"avx2"}), can_release=False))
    best = plan_memory(WITH_PLE, options)
    assert best.choices.ple_policy is PlePolicy.RESIDENT
    plan = plan_memory(WITH_PLE, options, best.minimum_bytes)
    assert plan.choices.ple_policy is PlePolicy.MAPPED
    assert any("all per-layer embeddings in RAM" in line for line in plan.explanation)
    assert plan.choices.streamed_bytes == 0 and not plan.choices.repack


def test_what_the_user_fixed_stays() -> None:
    options = option(
        context_tokens=3000,
        kv_type=KvType.F16,
        micro_batch_tokens=128,
        repack=False,
        ple_policy=PlePolicy.CACHE,
        ple_cache_bytes=20 * MB,
        threads=3,
    )
    minimum = plan_memory(WITH_PLE, options).minimum_bytes
    for budget in (None, minimum, minimum + 100 * MB, 10**10):
        choices = plan_memory(WITH_PLE, options, budget).choices
        assert (choices.context_tokens, choices.kv_type, choices.micro_batch_tokens) == (
            3000,
            KvType.F16,
            128,
        )
        assert (choices.repack, choices.ple_policy, choices.ple_cache_bytes) == (
            False,
            PlePolicy.CACHE,
            20 * MB,
        )
        assert choices.threads == 3


def test_a_cache_type_that_does_not_divide_a_head_is_not_chosen() -> None:
    odd = header("llama", 32, tensors=body(32, 32 * MB), attention__head_count=16, attention__key_length=80,
                 attention__value_length=80)  # fmt: skip
    for budget_mb in range(700, 1900, 100):
        try:
            assert plan_memory(odd, None, budget_mb * MB).choices.kv_type is KvType.F16
        except MemoryBudgetExceeded:
            assert budget_mb < 900


def test_what_cannot_fit_says_what_would_and_what_was_given_up() -> None:
    with pytest.raises(MemoryBudgetExceeded, match=r"some\.gguf with 256 tokens.*KV cache") as caught:
        plan_memory(LLAMA, None, 50 * MB)
    assert "after giving up 4096 tokens of context (now 256), f16 KV (now q4_0)" in str(caught.value)
    plan = caught.value.plan
    assert isinstance(plan, MemoryPlan) and not plan.fits
    assert plan.total_bytes == plan.minimum_bytes == caught.value.facts["minimum_bytes"]
    enough = int(caught.value.hint.split("'")[1].removesuffix("MB")) * MB
    assert plan_memory(LLAMA, None, enough).fits


def test_the_next_step_has_a_price() -> None:
    whole = plan_memory(LLAMA).total_bytes
    lines = plan_memory(LLAMA, None, whole - 2 * MB).explanation
    assert any(line.endswith("more would give a micro-batch of 256 tokens.") for line in lines), lines
    roomy = plan_memory(LLAMA, None, 2 * whole).explanation
    assert roomy[-1].startswith("There is room for context_tokens=")
    room = int(roomy[-1].rstrip(".").partition("=")[2])
    assert plan_memory(LLAMA, option(context_tokens=room), 2 * whole).choices.kv_type is KvType.F16


def test_q8_0_is_offered_to_those_who_fixed_f16() -> None:
    options = option(kv_type=KvType.F16)
    lines = plan_memory(LLAMA, options, plan_memory(LLAMA).total_bytes - 150 * MIB).explanation
    assert any("q8_0 KV would give" in line for line in lines), lines


# --- properties ------------------------------------------------------------------------

_QUALITY = (KvType.Q4_0, KvType.Q8_0, KvType.F16)


@st.composite
def models(draw: st.DrawFn) -> GgufHeader:
    layers = draw(st.integers(1, 24))
    kind = draw(st.sampled_from([GgmlType.Q4_0, GgmlType.Q8_0, GgmlType.Q6_K]))
    tensors = body(layers, draw(st.integers(1, 60)) * MB, kind)
    vocabulary = draw(st.integers(1000, 200_000))
    tensors.append(
        tensor("token_embd.weight", (1024, vocabulary), draw(st.sampled_from([kind, GgmlType.F16])))
    )
    architecture = draw(st.sampled_from(["llama", "gemma3", "gemma3n", "gemma4", "unheard-of"]))
    if architecture in ("gemma3n", "gemma4"):
        tensors.append(tensor("per_layer_token_embd.weight", (256 * layers, vocabulary), GgmlType.Q8_0))
    if draw(st.booleans()):
        tensors.append(tensor("output.weight", (1024, vocabulary), kind))
    return header(
        architecture,
        layers,
        tensors=tensors,
        attention__head_count=16,
        attention__head_count_kv=draw(st.sampled_from([1, 4, 16])),
        attention__sliding_window=draw(st.sampled_from([0, 512])),
        attention__sliding_window_pattern=2,
        feed_forward_length=draw(st.integers(100, 9000)),
        context_length=draw(st.sampled_from([512, 4096, 32_768])),
    )


def all_options() -> st.SearchStrategy[PlanOptions]:
    return st.builds(
        PlanOptions,
        context_tokens=st.none() | st.integers(1, 20_000),
        kv_type=st.none() | st.sampled_from(KvType),
        micro_batch_tokens=st.none() | st.integers(1, 1024),
        max_sequences=st.integers(1, 4),
        may_stream=st.booleans(),
        platform=st.builds(
            Platform,
            cpu_features=st.sampled_from([frozenset(), frozenset({"avx2"}), frozenset({"neon", "dotprod"})]),
            can_release=st.booleans(),
        ),
    )


def plan_or_none(model: GgufHeader, options: PlanOptions, budget_bytes: int) -> MemoryPlan | None:
    try:
        return plan_memory(model, options, budget_bytes)
    except MemoryBudgetExceeded:
        return None


@given(models(), all_options(), st.integers(1, 3000), st.integers(1, 3000))
def test_a_bigger_budget_never_gives_less(
    model: GgufHeader, options: PlanOptions, one_mb: int, other_mb: int
) -> None:
    small_mb, large_mb = sorted((one_mb, other_mb))
    small, large = (plan_or_none(model, options, mb * MB) for mb in (small_mb, large_mb))
    if small is None:
        return
    assert large is not None
    assert large.context_tokens >= small.context_tokens
    assert large.choices.micro_batch_tokens >= small.choices.micro_batch_tokens
    assert large.choices.streamed_bytes <= small.choices.streamed_bytes
    assert large.choices.repack >= small.choices.repack
    assert _QUALITY.index(large.choices.kv_type) >= _QUALITY.index(small.choices.kv_type)


@given(models(), all_options(), st.integers(1, 3000))
def test_a_plan_holds_its_budget_and_adds_up(model: GgufHeader, options: PlanOptions, budget_mb: int) -> None:
    try:
        plan = plan_memory(model, options, budget_mb * MB)
    except MemoryBudgetExceeded as error:
        plan = error.plan
        assert not plan.fits and plan.minimum_bytes > budget_mb * MB
    else:
        assert plan.fits and plan.total_bytes <= budget_mb * MB
        assert plan.minimum_bytes <= budget_mb * MB
    assert plan.total_bytes == sum(p.size_bytes for p in plan.parts if p.held is not Held.FLASH)
    assert all(part.size_bytes > 0 for part in plan.parts)
    assert plan.minimum_bytes <= plan.comfortable_bytes <= plan.full_speed_bytes


@given(models(), all_options())
def test_the_smallest_budgets_are_what_they_say(model: GgufHeader, options: PlanOptions) -> None:
    plan = plan_memory(model, options)
    assert plan_memory(model, options, plan.minimum_bytes).fits
    assert plan_or_none(model, options, plan.minimum_bytes - 1) is None
    assert plan_memory(model, options, plan.comfortable_bytes).choices.streamed_bytes == 0
    fast = plan_memory(model, options, plan.full_speed_bytes).choices
    assert (fast.streamed_bytes, fast.kv_type) == (0, plan.choices.kv_type)


@given(models(), all_options(), st.integers(1, 20_000), st.integers(1, 20_000))
def test_more_context_never_takes_less(model: GgufHeader, options: PlanOptions, one: int, other: int) -> None:
    small, large = (
        plan_memory(model, replace(options, context_tokens=tokens)) for tokens in sorted((one, other))
    )
    assert small.total_bytes <= large.total_bytes
