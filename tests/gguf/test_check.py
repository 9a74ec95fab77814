"""Values that make no sense are stopped before llama.cpp; sound models of every kind pass.

The nonsense comes from the assertions in llama.cpp's source, and from damaged tiny
models that ended a process which loaded and ran them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.builders import BOOL, INT32, RawTensor, Typed, gguf_bytes, tiny_gemma3_gguf, tiny_llama_gguf
from support.gguf_files import header_of, model, refuse
from support.mutations import mutated_files

from edge_runtime.errors import EdgeRuntimeError, ModelUnsupported
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.layer_patterns import sliding_layers
from edge_runtime.gguf.types import GgmlType

NAN, INFINITY = float("nan"), float("inf")


# Sound models


@pytest.mark.parametrize("make", [tiny_llama_gguf, tiny_gemma3_gguf])
def test_the_tiny_models_pass(tmp_path: Path, make: object) -> None:
    check_header(header_of(tmp_path, make()))  # type: ignore[operator]


SOUND: dict[str, tuple[str, dict[str, object], dict[str, tuple[int, ...]]]] = {
    "mamba has no heads": (
        "mamba",
        {"block_count": 1, "embedding_length": 8, "attention.head_count": 0, "ssm.inner_size": 16},
        {"blk.0.ssm_in.weight": (8, 32), "token_embd.weight": (8, 10)},
    ),
    "lfm2 has layers without attention": (
        "lfm2",
        {
            "block_count": 2,
            "embedding_length": 8,
            "attention.head_count": 4,
            "attention.head_count_kv": [0, 2],
        },
        {"blk.0.shortconv.conv.weight": (3, 8), "blk.1.attn_q.weight": (8, 8)},
    ),
    "gemma4 counts heads by layer and lends caches": (
        "gemma4",
        {
            "block_count": 4,
            "attention.head_count": 4,
            "attention.head_count_kv": [1, 2, 1, 2],
            "attention.key_length": 16,
            "attention.key_length_swa": 8,
            "attention.sliding_window": 16,
            "attention.sliding_window_pattern": Typed(BOOL, [True, False, True, False]),
            "attention.shared_kv_layers": 2,
            "rope.dimension_count": 16,
            "rope.dimension_count_swa": 8,
        },
        {"blk.3.attn_q.weight": (8, 32)},
    ),
    "deepseek2 has heads wider than the model over heads": (
        "deepseek2",
        {
            "block_count": 1,
            "embedding_length": 8,
            "attention.head_count": 4,
            "attention.head_count_kv": 1,
            "attention.key_length": 576,
            "rope.dimension_count": 64,
            "expert_count": 8,
            "expert_used_count": 2,
            "expert_group_count": 4,
            "expert_group_used_count": 2,
        },
        {"blk.0.attn_q_a.weight": (8, 8)},
    ),
    "glm4moe may leave out its last layer": (
        "glm4moe",
        {"block_count": 3, "nextn_predict_layers": 1, "expert_count": 4, "expert_used_count": 2},
        {"blk.1.attn_norm.weight": (8,)},
    ),
    "phi3 scales positions for long contexts": (
        "phi3",
        {"block_count": 1, "rope.scaling.type": "longrope", "rope.scaling.factor": 0.0},
        {"rope_factors_long.weight": (4,), "blk.0.attn_qkv.weight": (8, 24)},
    ),
    "qwen2vl has positions in three directions": (
        "qwen2vl",
        {
            "attention.head_count": 2,
            "embedding_length": 16,
            "rope.dimension_sections": [1, 1, 2, 0],
        },
        {"token_embd.weight": (16, 10)},
    ),
    "t5 calls its blocks otherwise": ("t5", {"block_count": 2}, {"enc.blk.0.attn_q.weight": (8, 8)}),
    "wavtokenizer embeds features": (
        "wavtokenizer-dec",
        {"embedding_length": 8, "features_length": 4},
        {"token_embd.weight": (4, 10)},
    ),
    "hunyuan-dense has one expert and uses none": (
        "hunyuan-dense",
        {"expert_count": 1, "expert_used_count": 0},
        {},
    ),
    "an unknown one says things we do not know": (
        "brand-new",
        {"rope.dimension_count": 0, "attention.wonder": -INFINITY, "block_count": 2},
        {"blk.0.magic.weight": (8,), "blk.1.magic.weight": (8,)},
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_models_of_other_kinds_pass(tmp_path: Path, name: str) -> None:
    architecture, values, tensors = SOUND[name]
    check_header(model(tmp_path, architecture, values, tensors))


def test_a_bert_without_merges_or_scores_passes(tmp_path: Path) -> None:
    tokens = ["[PAD]", *(f"[unused{number}]" for number in range(99)), "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * len(tokens),
        "tokenizer.ggml.padding_token_id": 2**32 - 1,
    }
    values = {"pooling_type": 2, "attention.layer_norm_epsilon": 1e-12, "attention.causal": False}
    check_header(model(tmp_path, "bert", values, {"token_embd.weight": (8, len(tokens))}, **vocabulary))


# Nonsense

LLAMA: list[tuple[str, object]] = [
    ("llama.block_count", 0),
    ("llama.block_count", 3),
    ("llama.block_count", 1),
    ("llama.block_count", 513),
    ("llama.nextn_predict_layers", 3),
    ("llama.context_length", 0),
    ("llama.context_length", 2**31),
    ("llama.embedding_length", 0),
    ("llama.embedding_length", 64),
    ("llama.attention.head_count", 0),
    ("llama.attention.head_count", "four"),
    ("llama.attention.head_count", 0.5),
    ("llama.attention.head_count", [4, 4, 4]),
    ("llama.attention.head_count_kv", 0),
    ("llama.attention.head_count_kv", 3),
    ("llama.attention.head_count_kv", [2, 3]),
    ("llama.attention.layer_norm_rms_epsilon", 0.0),
    ("llama.attention.layer_norm_rms_epsilon", -1.0),
    ("llama.attention.layer_norm_rms_epsilon", NAN),
    ("llama.attention.layer_norm_rms_epsilon", INFINITY),
    ("llama.attention.scale", NAN),
    ("llama.rope.dimension_count", 0),
    ("llama.rope.dimension_count", 7),
    ("llama.rope.dimension_count", 10),
    ("llama.rope.freq_base", 0.0),
    ("llama.rope.scaling.type", "dynamic"),
    ("llama.rope.scaling.factor", INFINITY),
    ("llama.rope.dimension_sections", [4, 4, 4, 0]),
    ("llama.expert_used_count", 1),
    ("llama.pooling_type", 9),
    ("llama.vocab_size", 2**31),
    ("tokenizer.ggml.model", 7),
    ("tokenizer.ggml.tokens", "a"),
    ("tokenizer.ggml.tokens", ["a", "b"]),
    ("tokenizer.ggml.scores", [0.0] * 299),
    ("tokenizer.ggml.scores", [NAN] * 300),
    ("tokenizer.ggml.scores", ["0"] * 300),
    ("tokenizer.ggml.token_type", [1] * 10),
    ("tokenizer.ggml.token_type", [1.0] * 300),
    ("tokenizer.ggml.bos_token_id", 300),
    ("tokenizer.ggml.eos_token_id", Typed(INT32, -1)),
    ("tokenizer.ggml.eos_token_id", Typed(INT32, [1, 2])),
    ("tokenizer.ggml.merges", [1]),
    ("general.architecture", 7),
    ("general.architecture", ""),
]
GEMMA: list[tuple[str, object]] = [
    ("gemma3.attention.sliding_window", 2**26),
    ("gemma3.attention.sliding_window_pattern", 1),
    ("gemma3.attention.sliding_window_pattern", Typed(BOOL, [False, False])),
    ("gemma3.rope.freq_base", NAN),
    ("gemma3.rope.dimension_count", 16),
    ("gemma3.attention.key_length", 7),
    ("gemma3.attention.key_length", 2**20),
]


@pytest.mark.parametrize(("key", "value"), LLAMA, ids=lambda value: str(value)[:40])
def test_nonsense_in_a_llama_names_the_key(tmp_path: Path, key: str, value: object) -> None:
    refuse(header_of(tmp_path, tiny_llama_gguf(changes={key: value})), key)


@pytest.mark.parametrize(("key", "value"), GEMMA, ids=lambda value: str(value)[:40])
def test_nonsense_in_a_gemma_names_the_key(tmp_path: Path, key: str, value: object) -> None:
    named = "gemma3.rope.dimension_count" if value == 7 else key  # 7 is what the positions would turn
    refuse(header_of(tmp_path, tiny_gemma3_gguf(changes={key: value})), named)


def test_a_nonsense_value_reads_like_this(tmp_path: Path) -> None:
    header = header_of(tmp_path, tiny_llama_gguf(changes={"llama.block_count": 7}))
    assert str(refuse(header, "llama.block_count")) == (
        "model.gguf is damaged at llama.block_count: expected 2, the layers in the file, found 7"
    )


def test_a_missing_architecture_is_named(tmp_path: Path) -> None:
    data = tiny_llama_gguf(changes={"general.architecture": None})
    refuse(header_of(tmp_path, data), "general.architecture")


EXPERTS = {"expert_count": 8, "expert_used_count": 2}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"expert_count": 8, "expert_used_count": 9}, "expert_used_count"),
        ({"expert_count": 8}, "expert_used_count"),
        ({"expert_count": 2000, "expert_used_count": 2}, "expert_count"),
        ({**EXPERTS, "expert_group_count": 3}, "expert_group_count"),
        ({**EXPERTS, "expert_group_count": 8}, "expert_group_count"),
        ({**EXPERTS, "expert_group_count": 4, "expert_group_used_count": 4}, "expert_group_used_count"),
        ({"block_count": 3, "expert_count": 8, "expert_used_count": [2, 2]}, "expert_used_count"),
    ],
)
def test_experts_that_do_not_add_up_are_refused(tmp_path: Path, values: dict[str, object], key: str) -> None:
    refuse(model(tmp_path, "mixture", values), f"mixture.{key}")


def test_caches_can_only_be_lent_by_layers_of_the_same_kind(tmp_path: Path) -> None:
    values: dict[str, object] = {
        "block_count": 4,
        "attention.sliding_window": 16,
        "attention.sliding_window_pattern": Typed(BOOL, [True, False, True, False]),
    }
    for shared in (1, 3, 4):  # leaves 3, 1 or 0 layers; the last of them must be a full one
        header = model(tmp_path, "gemma4", {**values, "attention.shared_kv_layers": shared})
        refuse(header, "gemma4.attention.shared_kv_layers")


def test_gemma_3n_lends_from_its_layers_18_and_19(tmp_path: Path) -> None:
    for period, sound in ((5, True), (4, True), (3, False), (7, False)):
        values = {
            "block_count": 30,
            "attention.sliding_window": 16,
            "attention.sliding_window_pattern": period,
        }
        header = model(tmp_path, "gemma3n", values)
        if sound:
            check_header(header)
        else:
            refuse(header, "gemma3n.attention.shared_kv_layers")


def test_an_embedding_gemma_needs_a_full_layer(tmp_path: Path) -> None:
    values: dict[str, object] = {"block_count": 4, "attention.sliding_window": 16}
    refuse(model(tmp_path, "gemma-embedding", values), "gemma-embedding.attention.sliding_window_pattern")
    check_header(model(tmp_path, "gemma-embedding", {**values, "block_count": 6}))


def test_sliding_layers_follow_the_pattern(tmp_path: Path) -> None:
    values: dict[str, object] = {"block_count": 6, "attention.sliding_window": 16}
    assert sliding_layers(model(tmp_path, "gemma3", values)) == [True] * 5 + [False]
    assert sliding_layers(model(tmp_path, "gemma2", values)) == [True, False] * 3
    assert sliding_layers(model(tmp_path, "llama", values)) == []
    assert sliding_layers(model(tmp_path, "gemma3", {"block_count": 6})) == []
    short = {**values, "attention.sliding_window_pattern": Typed(BOOL, [True])}
    assert sliding_layers(model(tmp_path, "gemma4", short)) == [True] + [False] * 5


# Tensors


def one_tensor(tmp_path: Path, name: str, shape: tuple[int, ...], kind: GgmlType) -> GgufHeader:
    elements = int(np.prod(shape))
    size_bytes = elements // kind.block_elements * kind.block_bytes
    tensors = {name: RawTensor(shape, int(kind), bytes(size_bytes))}
    return header_of(tmp_path, gguf_bytes({"general.architecture": "llama"}, tensors))


@pytest.mark.parametrize(
    ("name", "shape", "kind", "sound"),
    [
        ("token_embd.weight", (32, 2), GgmlType.Q8_0, True),
        ("token_embd.weight", (32, 2), GgmlType.Q8_1, False),
        ("blk.0.ffn_down_exps.weight", (32, 2, 2), GgmlType.BF16, True),
        ("blk.0.ffn_down_exps.weight", (32, 2, 2), GgmlType.I32, False),
        ("blk.0.ssm_out.weight", (32, 2), GgmlType.I32, False),
        ("blk.0.ffn_gate_tid2eid.weight", (32, 2), GgmlType.I32, True),
        ("blk.0.attn_norm.weight", (32,), GgmlType.F32, True),
        ("blk.0.attn_norm.weight", (32,), GgmlType.F16, False),
        ("blk.0.attn_q.bias", (32,), GgmlType.F16, False),
        ("rope_freqs.weight", (32,), GgmlType.BF16, False),
    ],
)
def test_tensors_have_types_that_can_be_calculated_with(
    tmp_path: Path, name: str, shape: tuple[int, ...], kind: GgmlType, sound: bool
) -> None:
    header = one_tensor(tmp_path, name, shape, kind)
    if sound:
        check_header(header)
    else:
        assert kind.name in str(refuse(header, name))


def test_weights_must_lie_at_multiples_of_32_bytes(tmp_path: Path) -> None:
    metadata = {"general.architecture": "llama", "general.alignment": 8}
    data = gguf_bytes(metadata, {"output_norm.weight": np.ones(6), "x": np.ones(6)}, alignment_bytes=8)
    refuse(header_of(tmp_path, data), "general.alignment")


# Files that are no language model


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gguf_bytes({"general.architecture": "llama"}), "only a vocabulary"),
        (gguf_bytes({"general.architecture": "clip"}, {"v": np.ones(1)}), "projector"),
        (gguf_bytes({"general.architecture": "llama", "general.type": "adapter"}), "adapter"),
    ],
)
def test_other_gguf_files_are_unsupported(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ModelUnsupported, match=words) as caught:
        check_header(header_of(tmp_path, data))
    assert caught.value.hint


@pytest.mark.parametrize("make", [tiny_llama_gguf, tiny_gemma3_gguf])
def test_planned_damage_passes_or_ends_in_our_errors(
    tmp_path: Path, rng: np.random.Generator, make: object
) -> None:
    passed = 0
    for description, data in mutated_files(make(), 220, rng):  # type: ignore[operator]
        try:
            check_header(header_of(tmp_path, data))
            passed += 1
        except EdgeRuntimeError:
            pass
        except Exception as error:
            raise AssertionError(description) from error
    assert passed < 88  # most of the damage is found
