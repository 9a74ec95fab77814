"""Our rules of what ggml copies into another order, against ggml itself, on this processor."""

from __future__ import annotations

import pytest
from support.memory_models import tensor

from edge_runtime.backends.llama import repack_type
from edge_runtime.backends.llama.library import library_info
from edge_runtime.gguf.types import GgmlType
from edge_runtime.memory import this_platform
from edge_runtime.memory.weights import can_be_repacked

# Of a row, and of rows; llama.cpp asks with 512 columns.
SHAPES = [(256, 8), (256, 32), (256, 12), (256, 10), (512, 256), (2048, 2047), (1024, 4096)]
# Integers and activations' own formats: no weights have them.
NOT_WEIGHTS = {GgmlType.Q8_1, GgmlType.Q8_K, GgmlType.F64} | {
    kind for kind in GgmlType if kind.name.startswith("I") and kind.name[1:].isdigit()
}
WEIGHTS = [kind for kind in GgmlType if kind not in NOT_WEIGHTS]


@pytest.mark.parametrize("kind", WEIGHTS, ids=lambda kind: kind.name)
def test_ggml_and_our_rules_agree(kind: GgmlType) -> None:
    platform = this_platform()
    if "AMX_INT8 = 1" in library_info().build_flags:
        pytest.skip("a build with AMX takes more types; the rules are for those without")
    ours, ggmls = {}, {}
    for shape in SHAPES:
        matrix = tensor("blk.0.ffn_up.weight", shape, kind)
        ours[shape] = can_be_repacked(matrix, platform)
        ggmls[shape] = repack_type(int(kind), shape) is not None
    assert ours == ggmls


def test_vectors_are_never_taken() -> None:
    assert repack_type(int(GgmlType.Q4_0), (512,)) is None
    assert not can_be_repacked(tensor("blk.0.ffn_up.weight", (512,), GgmlType.Q4_0), this_platform())


def test_the_same_answer_twice() -> None:
    assert repack_type(int(GgmlType.Q4_0), (512, 256)) == repack_type(int(GgmlType.Q4_0), (512, 256))
