"""Tensors that llama.cpp copies into another order, by type, shape and CPU."""

from __future__ import annotations

import pytest
from support.memory_models import tensor

from edge_runtime.gguf.types import GgmlType
from edge_runtime.memory import Platform
from edge_runtime.memory.weights import WeightClass, class_of, is_repacked

X86 = frozenset({"avx2", "fma"})
X86_512 = X86 | {"avx512f", "avx512bw"}
ARM_82 = frozenset({"neon", "fp16", "dotprod"})
ARM_86 = ARM_82 | {"i8mm"}
ARM_80 = frozenset({"neon"})  # a Raspberry Pi 4


@pytest.mark.parametrize(
    ("kind", "rows", "where"),
    [
        (GgmlType.Q4_0, 8, (X86, X86_512, ARM_82, ARM_86)),
        (GgmlType.Q4_0, 12, (ARM_82, ARM_86)),
        (GgmlType.Q4_0, 10, ()),
        (GgmlType.Q4_K, 8, (X86, X86_512, ARM_82, ARM_86)),
        (GgmlType.Q4_K, 12, ()),
        (GgmlType.Q2_K, 8, (X86_512,)),
        (GgmlType.Q5_K, 8, (ARM_82, ARM_86)),
        (GgmlType.Q6_K, 8, (ARM_82, ARM_86)),
        (GgmlType.Q8_0, 12, (ARM_82, ARM_86)),
        (GgmlType.IQ4_NL, 8, (X86, X86_512, ARM_82, ARM_86)),
        (GgmlType.Q4_1, 8, ()),
        (GgmlType.F16, 8, ()),
    ],
)
def test_types_and_rows(kind: GgmlType, rows: int, where: tuple[frozenset[str], ...]) -> None:
    weight = tensor("blk.0.ffn_up.weight", (512, rows), kind)
    for features in (X86, X86_512, ARM_80, ARM_82, ARM_86, frozenset[str]()):
        assert is_repacked(weight, Platform(cpu_features=features)) == (features in where), features


@pytest.mark.parametrize(
    ("name", "shape", "repacked"),
    [
        ("output.weight", (512, 32), True),
        ("per_layer_model_proj.weight", (512, 32), True),
        ("blk.0.attn_q.weight", (512, 32), True),
        ("blk.0.attn_q.bias", (512, 32), False),
        ("blk.0.attn_norm.weight", (512, 32), False),
        ("token_embd.weight", (512, 32), False),  # as the input; as a tied output it counts apart
        ("per_layer_token_embd.weight", (512, 32), False),
        ("altup_proj.weight", (512, 512, 3), False),  # only matrices of two dimensions
        ("blk.0.ffn_up_exps.weight", (512, 32, 4), True),  # and experts
        ("blk.0.ffn_down.weight", (512,), False),
    ],
)
def test_names_and_dimensions(name: str, shape: tuple[int, ...], repacked: bool) -> None:
    platform = Platform(cpu_features=X86)
    assert is_repacked(tensor(name, shape, GgmlType.Q4_0), platform) is repacked


def test_classes() -> None:
    classes = {
        "token_embd.weight": WeightClass.EMBEDDING,
        "per_layer_token_embd.weight": WeightClass.PLE,
        "output.weight": WeightClass.OUTPUT,
        "output_norm.weight": WeightClass.BODY,
        "per_layer_model_proj.weight": WeightClass.BODY,
        "blk.3.attn_output.weight": WeightClass.BODY,
    }
    assert {name: class_of(tensor(name, (32, 8))) for name in classes} == classes
