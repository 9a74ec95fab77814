"""Sizes of each part of a plan, worked out by hand for small models."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.memory_models import MIB, header, option, tensor

from edge_runtime.errors import MemoryBudgetExceeded
from edge_runtime.gguf.types import GgmlType
from edge_runtime.memory import (
    Held,
    KvType,
    MemoryChoices,
    PartKind,
    PlanOptions,
    Platform,
    PlePolicy,
    kv_cache_bytes,
    plan_memory,
)
from edge_runtime.memory.assemble import distinct_tokens
from edge_runtime.memory.compute import buffer_bytes, mask_bytes, numbers_per_token
from edge_runtime.memory.shape import read_shape
from edge_runtime.values.units import ByteUnits

# --- key-value cache -------------------------------------------------------------------


def test_kv_cache_of_a_llama_by_hand() -> None:
    # 30 layers x 3 KV heads x (64 + 64) x 2 bytes = 23,040 bytes a token
    llama = header("llama", 30, attention__head_count=9, attention__head_count_kv=3, attention__key_length=64,
                   attention__value_length=64)  # fmt: skip
    assert kv_cache_bytes(llama, 4096, 512) == 23_040 * 4096


def test_quantized_caches_by_hand() -> None:
    # 192 numbers a token, layer and kind: 6 blocks of 32, with 34 or 18 bytes each
    llama = header("llama", 30, attention__head_count=9, attention__head_count_kv=3, attention__key_length=64,
                   attention__value_length=64)  # fmt: skip
    assert kv_cache_bytes(llama, 4096, 512, KvType.Q8_0) == 30 * 2 * 6 * 34 * 4096
    assert kv_cache_bytes(llama, 4096, 512, KvType.Q4_0) == 30 * 2 * 6 * 18 * 4096


def test_cells_are_rounded_up_to_256() -> None:
    # 1024 / 16 heads = 64; 2 layers x 16 heads x 128 x 2 bytes = 8,192 bytes a token
    model = header("llama", 2, attention__head_count=16)
    assert kv_cache_bytes(model, 100, 512) == 8192 * 256
    assert kv_cache_bytes(model, 257, 512) == 8192 * 512
    assert kv_cache_bytes(model, 100, 512, max_sequences=6) == 8192 * 768  # one pool for all


@pytest.mark.parametrize(("architecture", "globals_of_18"), [("gemma3", 3), ("gemma2", 9), ("gemma3n", 3)])
def test_sliding_layers_stop_at_window_and_micro_batch(architecture: str, globals_of_18: int) -> None:
    # 1 KV head x (256 + 256) x 2 bytes = 1,024 bytes a token and layer. Every sixth, second or
    # fifth layer is global; the others stop at the window of 512 and a micro-batch
    gemma = header(architecture, 18, attention__head_count=4, attention__head_count_kv=1,
                   attention__key_length=256, attention__value_length=256,
                   attention__sliding_window=512)  # fmt: skip
    sliding = 18 - globals_of_18
    assert kv_cache_bytes(gemma, 4096, 512) == 1024 * (globals_of_18 * 4096 + sliding * 1024)
    assert kv_cache_bytes(gemma, 4096, 64) == 1024 * (globals_of_18 * 4096 + sliding * 768)  # 576, rounded
    assert kv_cache_bytes(gemma, 300, 512) == 1024 * 18 * 512
    # four conversations: four windows and one micro-batch
    assert kv_cache_bytes(gemma, 4096, 512, max_sequences=4) == 1024 * (
        globals_of_18 * 16_384 + sliding * (4 * 512 + 512)
    )


def test_gemma2_has_a_window_even_when_the_file_does_not_say() -> None:
    gemma = header("gemma2", 4, attention__head_count=4, attention__head_count_kv=1,
                   attention__key_length=64, attention__value_length=64)  # fmt: skip
    # 256 bytes a token and layer; two of four slide with 4096 tokens
    assert kv_cache_bytes(gemma, 8192, 256) == 256 * (2 * 8192 + 2 * (4096 + 256))


def test_gemma3n_keeps_the_cache_of_its_first_20_layers() -> None:
    # layers 4, 9, 14 and 19 are global; 2 x 256 x 2 x 2 bytes = 2,048 a token and layer
    gemma = header("gemma3n", 30, attention__head_count=8, attention__head_count_kv=2,
                   attention__key_length=256, attention__value_length=256,
                   attention__sliding_window=512, attention__shared_kv_layers=10)  # fmt: skip
    assert kv_cache_bytes(gemma, 8192, 512) == 2048 * (4 * 8192 + 16 * 1024)


def test_gemma4_has_wider_heads_where_it_sees_everything() -> None:
    # 10 layers, every fifth global, the last 5 share: layer 4 is global with heads of 512,
    # layers 0 to 3 slide with heads of 256
    pattern = np.array([layer % 5 != 4 for layer in range(10)])
    gemma = header("gemma4", 10, attention__head_count=8, attention__head_count_kv=1,
                   attention__key_length=512, attention__value_length=512,
                   attention__key_length_swa=256, attention__value_length_swa=256,
                   attention__sliding_window=512, attention__sliding_window_pattern=pattern,
                   attention__shared_kv_layers=5)  # fmt: skip
    assert kv_cache_bytes(gemma, 4096, 512) == 2 * 2 * 512 * 4096 + 4 * (2 * 2 * 256 * 1024)


def test_phi3_and_llama_do_not_slide_whatever_the_file_says() -> None:
    for architecture in ("phi3", "llama", "qwen2", "qwen3"):
        model = header(architecture, 2, attention__head_count=8, attention__sliding_window=64,
                       attention__sliding_window_pattern=np.array([True, False]))  # fmt: skip
        assert kv_cache_bytes(model, 4096, 64) == 2 * 2 * 1024 * 2 * 4096


def test_kv_heads_may_differ_from_layer_to_layer() -> None:
    mixed = header("llama", 3, attention__head_count=8, attention__head_count_kv=np.array([8, 0, 2]),
                   attention__key_length=10, attention__value_length=10)  # fmt: skip
    assert kv_cache_bytes(mixed, 256, 512) == (8 + 0 + 2) * 20 * 2 * 256


# --- buffers ---------------------------------------------------------------------------


def shape_of(architecture: str, layers: int = 2, *, ple: int = 0, **values: object):  # type: ignore[no-untyped-def]
    tensors = [tensor("token_embd.weight", (1024, 1000))]
    if ple:
        tensors.append(tensor("per_layer_token_embd.weight", (ple * layers, 1000)))
    return read_shape(header(architecture, layers, tensors=tensors, **values))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "mistral3"])
def test_the_feed_forward_block_is_the_peak(architecture: str) -> None:
    shape = shape_of(architecture, attention__head_count=16, feed_forward_length=4096)
    assert numbers_per_token(shape) == 3 * 4096 + 3 * 1024 + 1024
    assert buffer_bytes(shape, 512, 1) == 4 * 512 * (3 * 4096 + 4 * 1024 + 10)


def test_wide_attention_is_the_peak_where_the_feed_forward_block_is_narrow() -> None:
    shape = shape_of("llama", attention__head_count=16, attention__key_length=256, feed_forward_length=1024)
    assert numbers_per_token(shape) == 3 * 4096 + 1024


def test_per_layer_embeddings_are_kept_through_all_layers() -> None:
    values = {"attention__head_count": 8, "attention__key_length": 512, "feed_forward_length": 12_288}
    gemma4 = shape_of("gemma4", 35, ple=256, **values)
    assert numbers_per_token(gemma4) == 8960 + 3 * 12_288 + 4 * 1024 + 4096
    gemma3n = shape_of("gemma3n", 30, ple=256, **values)
    assert numbers_per_token(gemma3n) == 7680 + 3 * 12_288 + 10 * 1024


def test_the_logits_are_the_peak_of_a_small_batch() -> None:
    shape = shape_of("llama", attention__head_count=16, feed_forward_length=64)
    assert buffer_bytes(shape, 1, 50) == 4 * 50 * 1000


def test_masks_by_hand() -> None:
    assert mask_bytes(shape_of("llama", attention__head_count=16), 4096, 1024, 512) == 2 * 512 * 4096
    gemma = shape_of("gemma3", 6, attention__head_count=16, attention__sliding_window=512)
    assert mask_bytes(gemma, 4096, 1024, 512) == 2 * 512 * (4096 + 1024)


def test_an_unknown_architecture_is_planned_but_not_certain() -> None:
    assert plan_memory(header("llama", 2, attention__head_count=16)).certain
    unknown = plan_memory(header("brandnew", 2, attention__head_count=16))
    assert not unknown.certain and unknown.explanation[-1] == "Buffers of brandnew are an estimate."
    assert not plan_memory(header("llama", 2, attention__head_count=16, expert_count=8)).certain


# --- weights ---------------------------------------------------------------------------

AVX2 = Platform(cpu_features=frozenset({"avx2"}))
PLE = "per_layer_token_embd.weight"


def parts_of(
    plan_options: PlanOptions, *, tied: bool = True, ple: bool = False
) -> dict[PartKind, tuple[int, Held]]:
    """kind -> bytes, held; of a model with a repackable matrix, a norm and an embedding."""
    tensors = [
        tensor("token_embd.weight", (1024, 1000), GgmlType.Q4_0),  # 576,000 bytes
        tensor("blk.0.ffn_up.weight", (1024, 4096), GgmlType.Q4_0),  # 2,359,296 bytes
        tensor("blk.0.ffn_norm.weight", (1024,), GgmlType.F32),  # 4,096 bytes
    ]
    tensors += [] if tied else [tensor("output.weight", (1024, 1000), GgmlType.Q4_0)]
    tensors += [tensor(PLE, (512, 1000), GgmlType.Q8_0)] if ple else []  # 544,000 bytes
    model = header("gemma4" if ple else "llama", 1, tensors=tensors, attention__head_count=16)
    return {part.kind: (part.size_bytes, part.held) for part in plan_memory(model, plan_options).parts}


def test_repacked_weights_leave_their_originals_on_flash() -> None:
    parts = parts_of(PlanOptions(platform=AVX2))
    assert parts[PartKind.BODY] == (4096, Held.FILE)
    assert parts[PartKind.BODY_REPACKED] == (2_359_296, Held.ANONYMOUS)
    assert parts[PartKind.REPACKED_ORIGINALS] == (2_359_296, Held.FLASH)


def test_a_tied_embedding_is_repacked_as_the_output_and_keeps_its_rows() -> None:
    parts = parts_of(PlanOptions(platform=AVX2, context_tokens=256))
    assert parts[PartKind.OUTPUT_REPACKED] == (576_000, Held.ANONYMOUS)
    assert parts[PartKind.EMBEDDING_TABLE] == (576_000, Held.FLASH)
    assert parts[PartKind.EMBEDDING_ROWS] == (min(576_000, distinct_tokens(256) * (576 + 4096)), Held.FILE)
    assert PartKind.EMBEDDING not in parts


def test_without_repacking_everything_is_read_from_the_file() -> None:
    for options in (PlanOptions(), PlanOptions(platform=AVX2, repack=False)):
        parts = parts_of(options)
        assert parts[PartKind.BODY] == (2_359_296 + 4096, Held.FILE)
        assert parts[PartKind.EMBEDDING] == (576_000, Held.FILE)
        assert not [kind for kind in parts if "repacked" in kind.value]


def test_an_output_of_its_own_leaves_rows_of_the_embedding() -> None:
    parts = parts_of(PlanOptions(), tied=False)
    assert parts[PartKind.OUTPUT] == (576_000, Held.FILE)
    assert parts[PartKind.EMBEDDING_TABLE] == (576_000, Held.FLASH)


def test_where_pages_cannot_be_released_both_orders_stay() -> None:
    platform = Platform(system="Windows", cpu_features=frozenset({"avx2"}), can_release=False)
    parts = parts_of(PlanOptions(platform=platform))
    assert parts[PartKind.REPACKED_ORIGINALS] == (2_359_296, Held.FILE)
    assert parts[PartKind.EMBEDDING] == (576_000, Held.FILE)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (PlePolicy.RESIDENT, {PartKind.PLE: (544_000, Held.FILE)}),
        (PlePolicy.CACHE, {PartKind.PLE: (544_000, Held.FLASH), PartKind.PLE_CACHE: (100_000, Held.FILE)}),
        (
            PlePolicy.MAPPED,
            {PartKind.PLE: (544_000, Held.FLASH), PartKind.PLE_PAGES: (544_000, Held.FILE)},
        ),
    ],
)
def test_where_per_layer_embeddings_live(
    policy: PlePolicy, expected: dict[PartKind, tuple[int, Held]]
) -> None:
    cache = 100_000 if policy is PlePolicy.CACHE else None
    parts = parts_of(PlanOptions(ple_policy=policy, ple_cache_bytes=cache), ple=True)
    assert {kind: held for kind, held in parts.items() if kind.value.startswith("ple")} == expected


def test_the_cache_of_rows_holds_those_of_a_repacked_embedding_too() -> None:
    options = PlanOptions(platform=AVX2, ple_policy=PlePolicy.CACHE)
    assert PartKind.EMBEDDING_ROWS not in parts_of(options, ple=True)
    assert PartKind.EMBEDDING_TABLE in parts_of(options, ple=True)


# --- the plan --------------------------------------------------------------------------


def test_the_parts_in_memory_are_the_whole() -> None:
    plan = plan_memory(header("llama", 2, attention__head_count=16), option(context_tokens=512))
    assert plan.total_bytes == sum(p.size_bytes for p in plan.parts if p.held is not Held.FLASH)
    assert plan.total_bytes == plan.anonymous_bytes + plan.file_bytes
    assert plan.part_bytes(PartKind.BODY) == 8 * MIB
    assert plan.describe().startswith("body 8.39 MB, KV cache ")


@pytest.mark.parametrize(
    ("units", "size", "unit"),
    [(ByteUnits.DECIMAL, "8.39 MB", "MB"), (ByteUnits.BINARY, "8.00 MiB", "MiB")],
)
def test_a_plan_is_told_in_the_units_that_it_was_asked_in(units: ByteUnits, size: str, unit: str) -> None:
    model = header("llama", 2, attention__head_count=16)
    options = option(context_tokens=512, byte_units=units)
    plan = plan_memory(model, options)
    assert plan.describe().startswith(f"body {size}, KV cache ")
    with pytest.raises(MemoryBudgetExceeded, match=rf"the budget is [0-9.]+ {unit} \(body {size}") as caught:
        plan_memory(model, options, 2_000_000)
    assert re.search(rf"\b\d+{unit}' fits", caught.value.hint)


def test_the_json_has_the_promised_keys() -> None:
    found = plan_memory(header("llama", 2, attention__head_count=16), option(context_tokens=512)).as_json()
    promised = {"fits", "budget_bytes", "total_bytes", "minimum_bytes", "parts", "choices", "explanation"}
    assert promised <= set(found)
    assert found["parts"][0] == {"name": "body", "kind": "body", "bytes": 8 * MIB, "held": "file"}
    kinds = {part["kind"]: part["name"] for part in found["parts"]}
    assert kinds["kv_cache"] == "KV cache" and kinds["python"] == "Python"
    assert found["choices"] == {
        "context_tokens": 512,
        "kv_type": "f16",
        "micro_batch": 256,
        "repack": True,
        "ple_policy": "none",
        "ple_cache_bytes": 0,
        "threads": 1,
        "file": "some.gguf",
        "streamed_bytes": 0,
        "flash_attention": True,
    }


def test_choices_have_sensible_defaults() -> None:
    assert MemoryChoices(1024).kv_type is KvType.F16
    assert [kind.ggml_number for kind in KvType] == [GgmlType.F16, GgmlType.Q8_0, GgmlType.Q4_0]
