"""Patterns that name tensors to llama.cpp."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest
from edge_tools.synth import shape_named, shape_names, weights_of

from edge_runtime.backends.llama.tensor_patterns import tensor_patterns
from edge_runtime.gguf.types import GgmlType


def patterns_of(names: Iterable[str]) -> list[str]:
    return [pattern for pattern, _ in tensor_patterns(dict.fromkeys(names))]


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("name", shape_names())
def test_patterns_match_exactly_the_named_tensors(name: str, every: int) -> None:
    """llama.cpp asks with std::regex_search, which finds a match anywhere, as re.search does."""
    names = [weight.name for weight in weights_of(shape_named(name))]
    wanted = [tensor for index, tensor in enumerate(names) if index % every == 0]
    patterns = patterns_of(wanted)
    matched = Counter(tensor for tensor in names for pattern in patterns if re.search(pattern, tensor))
    assert matched == Counter(wanted)
    assert len(patterns) < 60  # llama.cpp tries each on each tensor


def test_patterns_take_dots_and_ends_literally() -> None:
    patterns = patterns_of(["blk.1.ffn_up.weight", "output.weight"])
    for other in (
        "blk.11.ffn_up.weight",
        "blk.1.ffn_up.weight_scale",
        "blk.1xffn_up.weight",
        "blk.1.ffn_upxweight",
        "my_blk.1.ffn_up.weight",
        "per_layer_output.weight",
        "outputxweight",
    ):
        assert not any(re.search(pattern, other) for pattern in patterns), other


def test_no_names_give_no_pattern() -> None:
    assert tensor_patterns({}) == ()


def test_patterns_fit_one_tensor_each() -> None:
    names = [
        "blk.1.a.weight",
        "blk.11.a.weight",
        "blk.1.b.weight",
        "a.weight",
        "x(1)+[y]|z^$.weight",
        "aXweight",
    ]
    types = dict(zip(names, GgmlType, strict=False))
    for name in names:
        assert (
            next(kind for pattern, kind in tensor_patterns(types) if re.search(pattern, name)) is types[name]
        )
    assert not any(re.search(pattern, "blk.2.a.weight") for pattern, _ in tensor_patterns(types))
    assert len(tensor_patterns(dict.fromkeys((f"blk.{n}.a.weight" for n in range(30)), GgmlType.Q4_0))) == 1
