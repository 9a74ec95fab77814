"""`edge-runtime slice`: what stays is exactly what was there, and what llama.cpp could not load is refused.

Files are read back with llama.cpp's own Python package, and the right slices worked out with numpy alone.
"""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import pytest
from edge_tools.slice import SliceOptions, slice_model
from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from support.builders import gguf_bytes, tiny_llama_gguf
from support.slice_models import (
    BOOL,
    E2B_LAYERS,
    INT32,
    MIXED,
    NAMES,
    Q4_0,
    STRING,
    TOKENS,
    UINT16,
    UINT64,
    Arrays,
    assert_same,
    gemma_3n,
    metadata,
    pieces,
    raw,
    rewritten,
    right_slices,
    weights,
)

from edge_runtime.errors import ModelFileInvalid, ModelUnsupported, OptionInvalid
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType, GgufStringArray
from edge_runtime.gguf.writing import HeaderValue, NewTensor, RawValue, raw_metadata, write_gguf

# --- what comes out ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "types",
    [
        *(Quantizations(*[kind] * 6) for kind in (GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0)),
        Q4_0,
        MIXED,
    ],
    ids=["F32", "F16", "BF16", "Q8_0", "Q4_0", "mixed"],
)
def test_e4b_becomes_e2b(types: Quantizations, tmp_path: Path) -> None:
    source = gemma_3n(tmp_path / "e4b.gguf", types=types)
    e2b = gemma_3n(tmp_path / "e2b.gguf", 30, 256, types, name="gemma-3n-e2b")
    sliced = slice_model(source, tmp_path / "sliced.gguf", SliceOptions(to="e2b"))

    found, wanted = read_header(sliced.path), read_header(e2b)
    table = [(tensor.name, tensor.shape, tensor.type) for tensor in found.tensors]
    assert table == [(tensor.name, tensor.shape, tensor.type) for tensor in wanted.tensors]
    old, new = metadata(e2b), metadata(sliced.path)
    assert list(old) == list(new)
    assert {key for key in old if old[key] != new[key]} == set(NAMES)
    assert new["general.name"][1] == (
        "random weights, 35 layers of 64 (sliced to E2B: 30 layers, feed-forward 256)"
    )

    before = weights(source)
    assert not np.array_equal(before["blk.20.attn_q.weight"], before["blk.25.attn_q.weight"])
    assert_same(weights(sliced.path), right_slices(before, E2B_LAYERS, 256))


@pytest.mark.parametrize(
    ("options", "layers", "columns"),
    [
        (SliceOptions(skip_layers=(22, 34, 20)), [*range(20), 21, *range(23, 34)], 512),
        (SliceOptions(skip_layers=(30, 30), feed_forward=96), [n for n in range(35) if n != 30], 96),
        (SliceOptions(feed_forward=32), [*range(35)], 32),
        (SliceOptions(skip_layers=tuple(range(20, 35))), [*range(20)], 512),
    ],
)
def test_any_layers_from_20_on_and_any_width(
    options: SliceOptions, layers: list[int], columns: int, e4b: Path, e4b_weights: Arrays
) -> None:
    sliced = slice_model(e4b, e4b.with_name("sliced.gguf"), options)
    assert_same(weights(sliced.path), right_slices(e4b_weights, layers, columns))
    values = {key: value for key, (_, value) in metadata(sliced.path).items()}
    assert values["gemma3n.block_count"] == len(layers)
    assert values["gemma3n.attention.shared_kv_layers"] == len(layers) - 20
    assert values["gemma3n.feed_forward_length"] == [columns] * len(layers)
    assert values["gemma3n.attention.sliding_window_pattern"] == [layer % 5 != 4 for layer in layers]
    assert len(values["gemma3n.activation_sparsity_scale"]) == len(layers)


def test_whole_numbers_and_halves_can_be_cut_anywhere(tmp_path: Path) -> None:
    source = gemma_3n(tmp_path / "e4b.gguf", types=Quantizations(*[GgmlType.F16] * 6))
    sliced = slice_model(source, tmp_path / "sliced.gguf", SliceOptions(feed_forward=201))
    assert_same(weights(sliced.path), right_slices(weights(source), [*range(35)], 201))


def test_blocks_of_256_can_be_cut_at_256(tmp_path: Path) -> None:
    types = Quantizations(body=GgmlType.Q4_K, ple=GgmlType.Q6_K)
    source = gemma_3n(tmp_path / "e4b.gguf", 22, 512, types, embedding_length=256)
    options = SliceOptions(skip_layers=(20,), feed_forward=256)
    sliced = slice_model(source, tmp_path / "sliced.gguf", options)
    assert_same(weights(sliced.path), right_slices(weights(source), [*range(20), 21], 256))

    with pytest.raises(OptionInvalid, match=r"blk.0.ffn_down.weight is Q4_K, 256 weights") as caught:
        slice_model(source, tmp_path / "other.gguf", SliceOptions(feed_forward=300))
    assert caught.value.facts["allowed"] == [256, 512]


def test_layers_of_different_widths_become_one_width(tmp_path: Path) -> None:
    runs = {"runs": [[10, 512], ["rest", 256]]}
    source = gemma_3n(tmp_path / "mixed.gguf", feed_forward=runs)
    with pytest.raises(OptionInvalid, match="512 in layer 9, 256 in layer 34") as caught:
        slice_model(source, tmp_path / "sliced.gguf", SliceOptions(skip_layers=(20,)))
    assert caught.value.hint.startswith("feed_forward=256")
    sliced = slice_model(source, tmp_path / "sliced.gguf", SliceOptions(feed_forward=256))
    assert_same(weights(sliced.path), right_slices(weights(source), [*range(35)], 256))
    assert (sliced.before.feed_forward, sliced.after.feed_forward) == (512, 256)


def test_a_split_set_is_one_model(e4b: Path) -> None:
    """Of three files, and what comes out is what comes out of the whole one."""
    header = read_header(e4b)
    folder = e4b.with_name("set")
    folder.mkdir()
    for number in range(3):
        part = {
            "split.no": raw(UINT16, "H", number),
            "split.count": raw(UINT16, "H", 3),
            "split.tensors.count": raw(INT32, "i", len(header.tensors)),
        }
        tensors = [
            NewTensor(tensor.name, tensor.shape, tensor.type, partial(pieces, header, tensor))
            for tensor in header.tensors[number * 300 : number * 300 + 300]
        ]
        known = raw_metadata(header) if number == 0 else {}
        path = folder / f"e4b-0000{number + 1}-of-00003.gguf"
        write_gguf(path, {**known, **part}, tensors, force=False, smaller="")
    options = SliceOptions(to="e2b")
    whole = slice_model(e4b, e4b.with_name("1.gguf"), options)
    from_set = slice_model(folder / "e4b-00001-of-00003.gguf", e4b.with_name("2.gguf"), options)
    assert from_set.path.read_bytes() == whole.path.read_bytes()
    assert from_set.before.size_bytes == sum(path.stat().st_size for path in folder.iterdir())


# --- metadata ----------------------------------------------------------------------------


def test_metadata_keeps_its_types_and_bytes(e4b: Path) -> None:
    kept = {
        "mine.byte": raw(0, "B", 200),
        "mine.small": raw(1, "b", -3),
        "mine.double": raw(12, "d", 0.1),
        "mine.long": raw(11, "q", -(2**60)),
        "mine.flag": raw(BOOL, "?", True),
        "mine.text": RawValue(struct.pack("<IQ", STRING, 3) + b"a\xff\x00"),
        "mine.list": RawValue(struct.pack("<IIQ", 9, 3, 35) + bytes(70)),
    }
    changed: dict[str, HeaderValue] = {
        "gemma3n.block_count": raw(UINT64, "Q", 35),
        "gemma3n.feed_forward_length": raw(INT32, "i", 512),
        "general.parameter_count": raw(UINT64, "Q", 1),
        "general.size_label": "4B",
    }
    source = rewritten(e4b, {**kept, **changed})
    sliced = slice_model(source, e4b.with_name("sliced.gguf"), SliceOptions(to="e2b"))
    fields = gguf.GGUFReader(sliced.path).fields
    for key, value in kept.items():
        assert value.content == b"".join(bytes(part) for part in fields[key].parts[2:]), key
    found = metadata(sliced.path)
    kinds = gguf.GGUFValueType
    assert found["gemma3n.block_count"] == ([kinds.UINT64], 30)
    assert found["gemma3n.feed_forward_length"] == ([kinds.INT32], 256)
    assert found["general.parameter_count"] == ([kinds.UINT64], sliced.after.parameters)
    assert (sliced.after.parameters, found["general.size_label"][1]) == (9_307_296, "9.3M")
    assert list(found) == list(metadata(source))


@pytest.mark.parametrize("pattern", [None, 5])
def test_a_pattern_that_llama_cpp_would_guess_wrong_is_written_out(pattern: int | None, e4b: Path) -> None:
    """With a period, or without any word of it, llama.cpp takes every fifth of the new layers."""
    key = "gemma3n.attention.sliding_window_pattern"
    source = rewritten(e4b, {key: pattern})
    regular = slice_model(source, e4b.with_name("1.gguf"), SliceOptions(to="e2b"))
    assert read_header(regular.path).metadata.get(key) == pattern
    assert regular.notes == ()

    irregular = slice_model(source, e4b.with_name("2.gguf"), SliceOptions(skip_layers=(22,)))
    types, found = metadata(irregular.path)[key]
    assert types == [gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.BOOL]
    assert found == [layer % 5 != 4 for layer in range(35) if layer != 22]
    assert ["every fifth" in note for note in irregular.notes] == [True]


def test_a_pattern_longer_than_the_layers_is_cut_with_them(e4b: Path) -> None:
    key = "gemma3n.attention.sliding_window_pattern"
    flags = np.array([layer % 5 != 4 for layer in range(40)], "<u4")
    sliced = slice_model(rewritten(e4b, {key: flags}), e4b.with_name("1.gguf"), SliceOptions(to="e2b"))
    types, found = metadata(sliced.path)[key]
    assert types == [gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT32]
    assert found == flags[:30].tolist()


def test_another_alignment_becomes_the_usual_one(tmp_path: Path) -> None:
    types = Quantizations(*[GgmlType.F32] * 6)
    plain = gemma_3n(tmp_path / "plain.gguf", 11, 64, types)
    values = {key: listed(value) for key, value in read_header(plain).metadata.items()}
    source = tmp_path / "aligned.gguf"
    content = gguf_bytes({**values, "general.alignment": 1024}, weights(plain), alignment_bytes=1024)
    source.write_bytes(content)
    sliced = slice_model(source, tmp_path / "sliced.gguf", SliceOptions(feed_forward=48))
    assert metadata(sliced.path)["general.alignment"][1] == 32
    assert_same(weights(sliced.path), right_slices(weights(source), [*range(11)], 48))


def listed(value: object) -> object:
    return list(value) if isinstance(value, GgufStringArray) else getattr(value, "tolist", lambda: value)()


# --- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (SliceOptions(skip_layers=(19, 20)), "layer 19 cannot be skipped", "layers 20 to 34"),
        (SliceOptions(skip_layers=(30, 35)), "has layers 0 to 34", "layers 20 to 34"),
        (SliceOptions(skip_layers=(-1,)), "has layers 0 to 34", "layers 20 to 34"),
        (SliceOptions(feed_forward=513), "not from 1 to 512", "feed_forward=512"),
        (SliceOptions(feed_forward=0), "not from 1 to 512", "feed_forward=512"),
        (
            SliceOptions(feed_forward=200),
            "blk.0.ffn_down.weight is Q4_0, 32 weights",
            "feed_forward=192 or feed_forward=224",
        ),
        (SliceOptions(feed_forward=20), "would cut through a block", "feed_forward=32;"),
        (SliceOptions(feed_forward=512), "nothing to cut", "20-34, or feed_forward= below 512"),
        (SliceOptions(), "nothing to cut", "skip_layers="),
        (SliceOptions(to="e1b"), "no slice is called 'e1b'", "e2b"),
        (SliceOptions(to="e2b", feed_forward=256), "do not go with it", "leave out to="),
        (SliceOptions(to="e2b", skip_layers=(20,)), "do not go with it", "leave out to="),
    ],
)
def test_what_cannot_be_cut_says_which_rule_and_what_can(
    options: SliceOptions, problem: str, hint: str, e4b: Path
) -> None:
    output = e4b.with_name("sliced.gguf")
    with pytest.raises(OptionInvalid, match=problem) as caught:
        slice_model(e4b, output, options)
    assert hint in caught.value.hint
    assert not output.exists()


@pytest.mark.parametrize(("layers", "feed_forward"), [(30, 256), (30, 512), (35, 224)])
def test_e2b_comes_out_of_e4b_alone(layers: int, feed_forward: int, tmp_path: Path) -> None:
    source = gemma_3n(tmp_path / "model.gguf", layers, feed_forward)
    with pytest.raises(OptionInvalid, match=f"{layers} layers of {feed_forward}"):
        slice_model(source, tmp_path / "sliced.gguf", SliceOptions(to="e2b"))


def test_a_model_without_sharing_layers_only_becomes_narrower(tmp_path: Path) -> None:
    source = gemma_3n(tmp_path / "model.gguf", layers=12)
    output = tmp_path / "sliced.gguf"
    with pytest.raises(OptionInvalid, match="layer 11 cannot be skipped") as caught:
        slice_model(source, output, SliceOptions(skip_layers=(11,)))
    assert "none of 12 layers" in caught.value.hint
    slice_model(source, output, SliceOptions(feed_forward=64))
    assert_same(weights(output), right_slices(weights(source), [*range(12)], 64))


@pytest.mark.parametrize("name", ["gemma-4-e2b", "gemma-3-1b", "smollm2-135m"])
def test_another_kind_of_model_is_refused(name: str, tmp_path: Path) -> None:
    """Gemma 4 has per-layer embeddings and shares keys and values too, and is no MatFormer."""
    tokenizer = tmp_path / "tokenizer.gguf"
    tokenizer.write_bytes(tiny_llama_gguf())
    shape = scaled(shape_named(name), 0.01).with_values({}, TOKENS)
    source = write_model(tmp_path / "model.gguf", shape, tokenizer=tokenizer).path
    with pytest.raises(ModelUnsupported, match="not a MatFormer model") as caught:
        slice_model(source, tmp_path / "sliced.gguf", SliceOptions(feed_forward=32))
    assert "quantize" in caught.value.hint


SPARSE_11 = np.array([1.6] * 11 + [-np.inf] * 24, "<f4")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"altup.num_inputs": 2}, "altup.num_inputs is 2, llama.cpp's Gemma 3n knows only 4"),
        ({"embedding_length_per_layer_input": 128}, "is 128, llama.cpp's Gemma 3n knows only 256"),
        ({"attention.shared_kv_layers": 10}, "10 of 35 layers share .* all but the first 20"),
        ({"activation_sparsity_scale": SPARSE_11}, "11 layers have sparse .* exactly the first 10"),
    ],
)
def test_a_model_that_llama_cpp_constants_do_not_fit_is_refused(
    changes: dict[str, HeaderValue], problem: str, e4b: Path
) -> None:
    source = rewritten(e4b, {f"gemma3n.{key}": value for key, value in changes.items()})
    with pytest.raises(ModelUnsupported, match=problem):
        slice_model(source, e4b.with_name("sliced.gguf"), SliceOptions(to="e2b"))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("blk.3.laurel_l.weight", (32, 128)),
        ("blk.34.ffn_up.weight", None),
        ("blk.2.ffn_down.weight", (64, 512)),
        ("per_layer_token_embd.weight", (4480, 800)),
        ("per_layer_model_proj.weight", None),
    ],
)
def test_a_tensor_that_is_missing_or_of_another_shape_is_named(
    name: str, shape: tuple[int, ...] | None, e4b: Path
) -> None:
    source = rewritten(e4b, {}, {name: shape})
    with pytest.raises(ModelFileInvalid, match=name):
        slice_model(source, e4b.with_name("sliced.gguf"), SliceOptions(to="e2b"))


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding_length": None},
        {"feed_forward_length": 0},
        {"feed_forward_length": 2**30},
        {"feed_forward_length": "wide"},
        {"attention.sliding_window": None},
        {"block_count": None},
    ],
)
def test_metadata_that_makes_no_sense_is_named(changes: dict[str, HeaderValue | None], e4b: Path) -> None:
    source = rewritten(e4b, {f"gemma3n.{key}": value for key, value in changes.items()})
    with pytest.raises(ModelFileInvalid, match=next(iter(changes))):
        slice_model(source, e4b.with_name("sliced.gguf"), SliceOptions(to="e2b"))
