"""Hyperparameters as numbers: one or a list, of the right kind, length and size."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import BOOL, FLOAT32, INT32, INT64, UINT64, Typed
from support.gguf_files import model

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.hyperparameters import number, number_or_none, numbers, per_layer

HEADS = "attention.head_count"


def header_with(folder: Path, value: object, *, layers: int = 3, key: str = HEADS) -> GgufHeader:
    return model(folder, "llama", {"block_count": layers, key: value})


@pytest.mark.parametrize(
    ("value", "found"),
    [(8, (8,)), (Typed(INT32, 8), (8,)), (Typed(UINT64, 8), (8,)), ([8, 4, 2], (8, 4, 2)), (0, (0,))],
)
def test_one_number_or_a_list(tmp_path: Path, value: object, found: tuple[int, ...]) -> None:
    header = header_with(tmp_path, value)
    assert numbers(header, HEADS) == found
    assert number(header, HEADS) == number_or_none(header, HEADS) == max(found)
    assert all(type(each) is int for each in numbers(header, HEADS))


def test_absent_is_no_error(tmp_path: Path) -> None:
    header = header_with(tmp_path, 8)
    assert numbers(header, "feed_forward_length") == ()
    assert number(header, "feed_forward_length", 7) == 7
    assert number_or_none(header, "feed_forward_length") is None
    assert per_layer(header, "feed_forward_length", 5) == [5, 5, 5]
    assert per_layer(header, "feed_forward_length", [1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize(("value", "found"), [(8, [8, 8, 8]), ([8, 4, 2], [8, 4, 2])])
def test_each_layer_has_its_number(tmp_path: Path, value: object, found: list[int]) -> None:
    assert per_layer(header_with(tmp_path, value), HEADS, 1) == found


@pytest.mark.parametrize("value", [[8], [8, 4], [8, 4, 2, 1]])
def test_list_of_another_length_is_refused(tmp_path: Path, value: list[int]) -> None:
    header = header_with(tmp_path, value)
    with pytest.raises(ModelFileInvalid, match="one value for each of 3 layers") as caught:
        per_layer(header, HEADS, 1)
    facts = caught.value.facts
    assert (facts["path"], facts["key"]) == (str(header.path), f"llama.{HEADS}")
    assert facts["found"] == str(len(value))


@pytest.mark.parametrize(
    "value",
    ["8", True, 8.0, Typed(FLOAT32, 8.5), float("nan"), [8.0, 4.0, 2.0], ["8"], Typed(BOOL, [True, False])],
)
def test_what_is_no_whole_number_is_refused(tmp_path: Path, value: object) -> None:
    header = header_with(tmp_path, value)
    for read in (numbers, number, number_or_none):
        with pytest.raises(ModelFileInvalid, match=rf"model\.gguf .*{HEADS}: expected a whole number"):
            read(header, HEADS)
    with pytest.raises(ModelFileInvalid, match="expected a whole number"):
        per_layer(header, HEADS, 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (HEADS, Typed(INT32, -1)),
        (HEADS, 2**16 + 1),
        (HEADS, Typed(INT32, [8, -4, 2])),
        (HEADS, Typed(UINT64, 2**64 - 1)),
        ("attention.shared_kv_layers", 513),
        ("feed_forward_length", Typed(INT64, -(2**63))),
        ("a key that nobody knows", Typed(UINT64, 2**31)),
    ],
)
def test_number_out_of_range_is_refused(tmp_path: Path, key: str, value: object) -> None:
    header = header_with(tmp_path, value, key=key)
    with pytest.raises(ModelFileInvalid, match=rf"llama\.{key}: expected from 0 to \d+, found"):
        numbers(header, key)


def test_model_without_layers_has_none(tmp_path: Path) -> None:
    header = model(tmp_path, "llama", {HEADS: 8})
    assert per_layer(header, HEADS, 1) == []
