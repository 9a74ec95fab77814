"""`edge-runtime slice`: what stays is exactly what was there, and what llama.cpp could not load is refused.

Files are read back with llama.cpp's own Python package, and the right slices worked out with numpy alone.
"""

from __future__ import annotations

import json
import shutil
import struct
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import pytest
from builders import gguf_bytes, tiny_llama_gguf
from numpy.typing import NDArray

from edge_runtime.cli import main
from edge_runtime.errors import (
    EdgeRuntimeError,
    ModelFileInvalid,
    ModelUnsupported,
    OptionInvalid,
    StorageFull,
)
from edge_runtime.gguf_header import GgufHeader, read_header
from edge_runtime.gguf_types import GgmlType, GgufStringArray, TensorInfo
from edge_runtime.progress import Advance, QuietProgress
from edge_runtime.tools.gguf_writer import HeaderValue, NewTensor, RawValue, raw_metadata, write_gguf
from edge_runtime.tools.slice import SliceOptions, parse_layers, slice_model
from edge_runtime.tools.slice.options import layers_text
from edge_runtime.tools.synth import Quantizations, scaled, shape_named, write_model
from edge_runtime.tools.tensor_data import read_pieces

Arrays = dict[str, NDArray[np.float32]]
Capture = pytest.CaptureFixture[str]

WIDTH, TOKENS, PLE = 64, 400, 256  # the tokenizer has 300, and is padded
E2B_LAYERS = [*range(20), *range(25, 35)]
UINT16, UINT32, INT32, BOOL, STRING, UINT64 = 2, 4, 5, 7, 8, 10  # value types of GGUF
Q4_0 = Quantizations(*[GgmlType.Q4_0] * 6)
MIXED = Quantizations(embedding=GgmlType.Q8_0, ple=GgmlType.Q8_0)  # body Q4_0, gates Q8_0, AltUp F32
NAMES = ("general.name", "general.description")


def gemma_3n(
    path: Path,
    layers: int = 35,
    feed_forward: object = 512,
    types: Quantizations = Q4_0,
    tokens: int = TOKENS,
    name: str = "gemma-3n-e4b",
    **values: object,
) -> Path:
    """As wide as 64 numbers, so E2B has 4 x 64 columns and E4B 8 x 64."""
    tokenizer = path.with_name("tokenizer.gguf")
    tokenizer.write_bytes(tiny_llama_gguf())
    if isinstance(feed_forward, int):
        feed_forward = {"cycle": [feed_forward]}
    shape = scaled(shape_named(name), 0.01).with_values(
        {
            "block_count": layers,
            "attention.shared_kv_layers": max(0, layers - 20),
            "embedding_length": WIDTH,
            "feed_forward_length": feed_forward,
            "attention.head_count": 2,
            "attention.head_count_kv": 1,
            **values,
        },
        tokens,
    )
    return write_model(path, shape, types, tokenizer=tokenizer).path


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gemma_3n(tmp_path_factory.mktemp("once") / "e4b.gguf")


@pytest.fixture
def e4b(made_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made_once, tmp_path))


@pytest.fixture(scope="module")
def e4b_weights(made_once: Path) -> Arrays:
    return weights(made_once)


def rewritten(
    source: Path,
    changes: Mapping[str, HeaderValue | None],
    shapes: Mapping[str, tuple[int, ...] | None] | None = None,
) -> Path:
    """The same weights under other metadata, some in another shape; None leaves out."""
    header = read_header(source)
    metadata: dict[str, HeaderValue | None] = {**raw_metadata(header), **changes}
    tensors = [
        NewTensor(tensor.name, shape, tensor.type, partial(pieces, header, tensor))
        for tensor in header.tensors
        if (shape := (shapes or {}).get(tensor.name, tensor.shape)) is not None
    ]
    kept = {key: value for key, value in metadata.items() if value is not None}
    path = source.with_name("changed.gguf")
    write_gguf(path, kept, tensors, force=True, smaller="")
    return path


def pieces(header: GgufHeader, tensor: TensorInfo) -> Iterator[memoryview]:
    return (piece.data for piece in read_pieces(header, tensor))


def raw(kind: int, code: str, *numbers: float) -> RawValue:
    return RawValue(struct.pack(f"<I{code}", kind, *numbers))


def weights(path: Path) -> Arrays:
    """By name, (rows, columns) each."""
    return {  # as plain arrays: numpy takes its time with each slice of a mapped one
        tensor.name: gguf.quants.dequantize(tensor.data.view(np.ndarray), tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def metadata(path: Path) -> dict[str, tuple[object, object]]:
    """By key, the types and the value; without what the tests add."""
    return {
        key: (field.types, field.contents())
        for key, field in gguf.GGUFReader(path).fields.items()
        if not key.startswith(("GGUF.", "mine."))
    }


def right_slices(old: Arrays, layers: list[int], columns: int) -> Arrays:
    new = {name: values for name, values in old.items() if not name.startswith("blk.")}
    table = old["per_layer_token_embd.weight"]
    by_layer = table.reshape(len(table), -1, PLE)
    new["per_layer_token_embd.weight"] = by_layer[:, layers].reshape(len(table), -1)
    width = old["per_layer_model_proj.weight"].shape[1]
    projection = old["per_layer_model_proj.weight"].reshape(-1, PLE, width)
    new["per_layer_model_proj.weight"] = projection[layers].reshape(-1, width)
    for number, layer in enumerate(layers):
        block = {name.split(".", 2)[2]: v for name, v in old.items() if name.startswith(f"blk.{layer}.")}
        for name in ("ffn_gate.weight", "ffn_up.weight"):
            block[name] = block[name][:columns]
        block["ffn_down.weight"] = block["ffn_down.weight"][:, :columns]
        new |= {f"blk.{number}.{name}": values for name, values in block.items()}
    return new


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    wrong = [name for name in expected if not np.array_equal(found[name], expected[name])]
    assert wrong == []


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
    assert caught.value.hint.startswith("--ffn 256")
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
        (SliceOptions(feed_forward=513), "not from 1 to 512", "--ffn 512"),
        (SliceOptions(feed_forward=0), "not from 1 to 512", "--ffn 512"),
        (SliceOptions(feed_forward=200), "blk.0.ffn_down.weight is Q4_0, 32 weights", "--ffn 192 or 224"),
        (SliceOptions(feed_forward=20), "would cut through a block", "--ffn 32;"),
        (SliceOptions(feed_forward=512), "nothing to cut", "20-34, or --ffn below 512"),
        (SliceOptions(), "nothing to cut", "--skip-layers"),
        (SliceOptions(to="e1b"), "no slice is called 'e1b'", "e2b"),
        (SliceOptions(to="e2b", feed_forward=256), "do not go with it", "leave out --to"),
        (SliceOptions(to="e2b", skip_layers=(20,)), "do not go with it", "leave out --to"),
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


# --- files -------------------------------------------------------------------------------


class _Acting(QuietProgress):
    """Does something after the first 100,000 bytes."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act, self._done_bytes = act, 0

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        yield self._advance

    def _advance(self, count: int) -> None:
        if self._done_bytes <= 100_000 < self._done_bytes + count:
            self._act()
        self._done_bytes += count


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_source_that_becomes_shorter_leaves_nothing(e4b: Path) -> None:
    folder = e4b.with_name("out")
    folder.mkdir()

    def shorten() -> None:
        with e4b.open("r+b") as file:
            file.truncate(e4b.stat().st_size // 2)

    with pytest.raises(ModelFileInvalid, match="became shorter"):
        slice_model(e4b, folder / "sliced.gguf", SliceOptions(to="e2b"), progress=_Acting(shorten))
    assert list(folder.iterdir()) == []


def test_a_source_cut_off_inside_its_metadata_is_named(e4b: Path) -> None:
    header = read_header(e4b)
    with e4b.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(ModelFileInvalid, match="became shorter"):
        raw_metadata(header)


def test_an_interrupted_slice_leaves_nothing(e4b: Path) -> None:
    folder = e4b.with_name("out")
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        slice_model(e4b, folder / "sliced.gguf", SliceOptions(to="e2b"), progress=_Acting(interrupt))
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_known_before_anything_is_written(e4b: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StorageFull, match="no room") as caught:
        slice_model(e4b, e4b.with_name("sliced.gguf"), SliceOptions(to="e2b"))
    assert "--ffn" in caught.value.hint
    assert not e4b.with_name("sliced.gguf").exists()


def test_an_output_is_replaced_only_with_force_the_source_too(e4b: Path, e4b_weights: Arrays) -> None:
    before = e4b.read_bytes()
    with pytest.raises(OptionInvalid, match="exists already"):
        slice_model(e4b, e4b, SliceOptions(to="e2b"))
    assert e4b.read_bytes() == before
    slice_model(e4b, e4b, SliceOptions(to="e2b"), force=True)
    assert_same(weights(e4b), right_slices(e4b_weights, E2B_LAYERS, 256))


def test_a_large_table_is_never_in_memory(tmp_path: Path) -> None:
    """It takes 107 MB, a chunk of it 1 MiB and its slice as much again; all metadata is below 1 MB."""
    types = Quantizations(*[GgmlType.Q8_0] * 3, ple=GgmlType.F16)
    source = gemma_3n(tmp_path / "e4b.gguf", types=types, tokens=6000)
    table = next(
        tensor for tensor in read_header(source).tensors if tensor.name.startswith("per_layer_token")
    )
    assert table.size_bytes > 100 << 20
    tracemalloc.start()
    try:
        slice_model(source, tmp_path / "sliced.gguf", SliceOptions(to="e2b"))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10 << 20


# --- the command -------------------------------------------------------------------------


def test_the_command_prints_a_table_or_json(e4b: Path, capsys: Capture) -> None:
    output = e4b.with_name("sliced.gguf")
    command = ["slice", str(e4b), "-o", str(output), "--skip-layers", "20-24,34", "--ffn", "128"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:12].strip(): line[12:].split() for line in lines[:6]}
    assert rows[""] == ["BEFORE", "AFTER"]
    assert rows["layers"] == ["35", "29"]
    assert rows["feed-forward"] == ["512", "128"]
    assert rows["tensors"] == ["847", "703"]
    assert [line[:6] for line in lines[6:-1]] == ["note: "]
    assert lines[-1] == f"{output}: {output.stat().st_size:,} bytes, out of e4b.gguf"

    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err

    assert main([*command[:4], "--to", "E2B", "--json", "--force"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == str(output)
    assert found["source"] == str(e4b)
    assert found["skipped_layers"] == [20, 21, 22, 23, 24]
    assert found["before"]["size_bytes"] == e4b.stat().st_size
    assert found["after"] == {
        "layers": 30,
        "feed_forward": 256,
        "tensors": 727,
        "parameters": sum(tensor.n_elements for tensor in gguf.GGUFReader(output).tensors),
        "size_bytes": output.stat().st_size,
    }
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["--skip-layers", "24-20"], 2, "'24-20' are no layers"),
        (["--skip-layers", "3-"], 2, "like 20-24"),
        (["--skip-layers", ""], 2, "are no layers"),
        (["--skip-layers", "0-999999"], 2, "are no layers"),
        ([], 2, "nothing to cut"),
        (["--ffn", "30"], 2, "--ffn 32"),
    ],
)
def test_wrong_usage_says_what_would_do(
    arguments: list[str], status: int, problem: str, e4b: Path, capsys: Capture
) -> None:
    output = e4b.with_name("sliced.gguf")
    assert main(["slice", str(e4b), "-o", str(output), *arguments]) == status
    assert problem in capsys.readouterr().err
    assert not output.exists()


def test_a_model_of_another_kind_is_a_model_error(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    assert main(["slice", str(path), "-o", str(tmp_path / "sliced.gguf"), "--to", "e2b"]) == 3
    assert "not a MatFormer model" in capsys.readouterr().err


def test_layers_are_read_and_printed_in_ranges() -> None:
    assert parse_layers("30, 20-22,21") == (20, 21, 22, 30)
    assert layers_text((30, 20, 21, 22)) == "20-22, 30"
    for text in ("20-", "-3", "a", "20--22", "²", "20,,21"):
        with pytest.raises(EdgeRuntimeError):
            parse_layers(text)
