"""Reading headers: sound ones come back whole, all others end in one of our errors."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from builders import (
    ARRAY,
    BOOL,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    UINT64,
    RawTensor,
    Typed,
    gguf_bytes,
    gguf_string,
    tiny_gemma3_gguf,
    tiny_llama_gguf,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mutations import header_fields, mutated_files

from edge_runtime import gguf_cursor
from edge_runtime.errors import EdgeRuntimeError, ModelFileInvalid, ModelNotFound, ModelUnsupported
from edge_runtime.gguf_cursor import Cursor, find_strings
from edge_runtime.gguf_header import GgufHeader, read_header
from edge_runtime.gguf_types import GgmlType, GgufStringArray

SMALL = gguf_bytes(
    {"general.architecture": "llama", "llama.block_count": 1, "tokenizer.ggml.tokens": ["a", "bc", "d"]},
    {"first.weight": np.ones((3, 4)), "second.weight": np.ones(5)},
)


def read(tmp_path: Path, data: bytes, name: str = "model.gguf") -> GgufHeader:
    path = tmp_path / name
    path.write_bytes(data)
    return read_header(path)


def damage(tmp_path: Path, data: bytes) -> ModelFileInvalid:
    with pytest.raises(ModelFileInvalid) as caught:
        read(tmp_path, data)
    assert caught.value.hint
    assert {"path", "offset", "expected", "found"} <= caught.value.facts.keys()
    return caught.value


def with_tensor(shape: tuple[int, ...], kind: int = 0, data: bytes = bytes(64), **more: int) -> bytes:
    return gguf_bytes(tensors={"weight": RawTensor(shape, kind, data, **more)})


# Sound files


def test_every_value_type_comes_back(tmp_path: Path) -> None:
    values = {
        "u8": (Typed(UINT8, 200), 200),
        "i8": (Typed(INT8, -100), -100),
        "u16": (Typed(UINT16, 60_000), 60_000),
        "i16": (Typed(INT16, -30_000), -30_000),
        "u32": (4_000_000_000, 4_000_000_000),
        "i32": (Typed(INT32, -2_000_000_000), -2_000_000_000),
        "f32": (0.5, 0.5),
        "true": (True, True),
        "text": ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
        "u64": (Typed(UINT64, 2**63), 2**63),
        "i64": (Typed(INT64, -(2**62)), -(2**62)),
        "f64": (Typed(FLOAT64, 0.1), 0.1),
    }
    header = read(tmp_path, gguf_bytes({key: given for key, (given, _) in values.items()}))
    for key, (_, expected) in values.items():
        found = header.metadata[key]
        assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("kind", "items", "dtype"),
    [
        (UINT8, [0, 255], "u1"),
        (INT16, [-5, 5], "i2"),
        (INT32, [-1, 2**31 - 1], "i4"),
        (FLOAT32, [0.5, -1.5], "f4"),
        (INT64, [-(2**63), 7], "i8"),
        (BOOL, [True, False], "?"),
    ],
)
def test_number_lists_are_read_only_arrays(tmp_path: Path, kind: int, items: list[float], dtype: str) -> None:
    found = read(tmp_path, gguf_bytes({"list": Typed(kind, items)})).metadata["list"]
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), items)


def test_tensors_are_placed_one_after_the_other(tmp_path: Path) -> None:
    header = read(tmp_path, SMALL)
    first, second = header.tensors
    assert (first.name, first.shape, first.type, first.size_bytes) == (
        "first.weight",
        (4, 3),
        GgmlType.F32,
        48,
    )
    # 48 bytes are padded to 64; 5 numbers take 20 bytes and end the file, padded to 32
    assert first.offset_bytes == header.data_offset_bytes == len(SMALL) - 96
    assert (second.offset_bytes, second.size_bytes) == (header.data_offset_bytes + 64, 20)
    assert (header.tensor_bytes, header.file_size_bytes) == (68, len(SMALL))


def test_the_last_tensor_may_end_without_padding(tmp_path: Path) -> None:
    assert read(tmp_path, SMALL[:-12]).tensors[1].size_bytes == 20


def test_version_2_and_another_alignment_are_read(tmp_path: Path) -> None:
    data = gguf_bytes({"general.alignment": 64}, {"w": np.ones(3), "x": np.ones(3)}, alignment_bytes=64)
    data = data[:4] + struct.pack("<I", 2) + data[8:]
    header = read(tmp_path, data)
    assert (header.version, header.data_offset_bytes % 64) == (2, 0)
    assert header.tensors[1].offset_bytes == header.data_offset_bytes + 64


def test_quantized_tensors_count_in_blocks(tmp_path: Path) -> None:
    # 256 columns are one Q4_K block of 144 bytes; two rows
    header = read(tmp_path, with_tensor((256, 2), GgmlType.Q4_K, bytes(288)))
    assert header.tensors[0].size_bytes == 288


def test_shortcuts_name_what_people_ask_for(tmp_path: Path) -> None:
    header = read(tmp_path, tiny_gemma3_gguf(chat_template="{{ messages }}"))
    assert (header.architecture, header.name) == ("gemma3", "tiny gemma")
    assert (header.block_count, header.context_length, header.vocabulary_size) == (2, 256, 300)
    assert header.chat_template == "{{ messages }}"
    assert header.hyperparameter("attention.head_count") == 4
    assert header.hyperparameter("attention.no_such_thing") is None


def test_shortcuts_of_an_empty_file_are_none(tmp_path: Path) -> None:
    header = read(tmp_path, gguf_bytes())
    found = (header.architecture, header.name, header.chat_template, header.block_count)
    assert found == (None, None, None, None)
    assert (header.vocabulary_size, header.tensors, header.tensor_bytes) == (0, (), 0)


def test_text_that_is_not_utf8_is_shown_with_a_sign(tmp_path: Path) -> None:
    header = read(tmp_path, gguf_bytes({"general.name": b"a\xff", "list": [b"b\xfe", b"c"]}))
    assert header.name == "a\ufffd"
    found = header.metadata["list"]
    assert isinstance(found, GgufStringArray)
    assert (list(found), found.bytes_at(0)) == (["b\ufffd", "c"], b"b\xfe")


def test_block_sizes_are_those_of_the_gguf_package() -> None:
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    theirs[GgmlType.Q8_1] = (32, 36)  # gguf 0.19 says 40; the C structure is 2 halves and 32 bytes
    ours = {int(kind): (kind.block_elements, kind.block_bytes) for kind in GgmlType}
    assert {kind: ours[kind] for kind in theirs} == theirs


# Lists of strings


@pytest.fixture
def words(tmp_path: Path) -> GgufStringArray:
    found = read(tmp_path, gguf_bytes({"words": ["eins", "", "zwölf", "🙂"]})).metadata["words"]
    assert isinstance(found, GgufStringArray)
    return found


def test_strings_are_decoded_one_at_a_time(words: GgufStringArray) -> None:
    assert (len(words), words[0], words[2], words[-1]) == (4, "eins", "zwölf", "🙂")
    assert list(words) == ["eins", "", "zwölf", "🙂"]
    assert words.lengths_bytes().tolist() == [4, 0, 6, 4]
    for index in (4, -5):
        with pytest.raises(IndexError):
            words[index]


def test_a_big_vocabulary_is_not_turned_into_strings(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes({"tokens": [f"token {number}" for number in range(50_000)]}))
    before = tracemalloc_kept_bytes(lambda: None)
    kept = tracemalloc_kept_bytes(lambda: read_header(path))
    assert kept - before < 1_300_000  # 1.15 MB of text, offsets included; as str: 4 MB


def tracemalloc_kept_bytes(work: object) -> int:
    tracemalloc.start()
    kept = work()  # type: ignore[operator]
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return current


def test_long_strings_cross_the_borders_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_cursor, "_READ_BYTES", 1000)
    texts = ["x" * size for size in (1, 255, 256, 300, 0, 5000, 990, 1, 7)] * 20
    found = read(tmp_path, gguf_bytes({"texts": texts, "after": 5}, {"w": np.ones(3)}))
    assert list(found.metadata["texts"]) == texts  # type: ignore[arg-type]
    assert found.metadata["after"] == 5


SOME_BYTES = st.one_of(st.binary(max_size=12), st.binary(min_size=250, max_size=260))


@given(st.lists(SOME_BYTES, min_size=1, max_size=60), st.binary(max_size=40))
@example([b"\0" * 7, b"", b"a\0\0\0\0\0\0\0b"], b"")
def test_guessed_lengths_are_the_real_ones(texts: list[bytes], rest: bytes) -> None:
    raw = b"".join(gguf_string(text) for text in texts)
    starts, end = find_strings(np.frombuffer(raw + rest, np.uint8), len(texts))
    expected = np.cumsum([0] + [8 + len(text) for text in texts])
    assert (starts.tolist(), end) == (expected[:-1].tolist(), expected[-1])


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=40), st.booleans())
def test_strings_that_certainly_differ_do(texts: list[bytes], distinct: bool) -> None:
    texts = list(dict.fromkeys(texts)) if distinct else [*texts, texts[0]]
    array = string_array(texts)
    assert array.may_repeat() == (not distinct or any(b"\0" in text for text in texts))


@given(st.lists(st.binary(max_size=9), max_size=40), st.binary(max_size=3), st.integers(0, 6))
def test_strings_are_found_by_their_start_and_size(texts: list[bytes], start: bytes, more: int) -> None:
    size_bytes = len(start) + more
    right = [len(text) == size_bytes and text.startswith(start) for text in texts]
    assert string_array(texts).find(start, size_bytes) == np.flatnonzero(right).tolist()


def string_array(texts: list[bytes]) -> GgufStringArray:
    starts = np.cumsum([0] + [8 + len(text) for text in texts])[:-1].astype(np.uint32)
    return GgufStringArray(b"".join(gguf_string(text) for text in texts), starts)


# Files that end too early, or are something else


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    for end in range(len(SMALL) - 12):  # the last tensor's padding may be missing
        message = str(damage(tmp_path, SMALL[:end]))
        assert "the end of the file" in message or "where the file ends" in message, end


@pytest.mark.parametrize("start", [b"", b"GG"])
def test_an_empty_file_and_two_bytes_say_where_they_end(tmp_path: Path, start: bytes) -> None:
    error = damage(tmp_path, start)
    assert str(error) == (
        "model.gguf is damaged at byte 0: expected the letters GGUF, "
        f"found the end of the file at byte {len(start)}"
    )


def test_a_cut_tensor_table_reports_path_and_offset(tmp_path: Path) -> None:
    error = damage(tmp_path, SMALL[: SMALL.index(b"second.weight") + 20])
    assert error.facts["path"] == str(tmp_path / "model.gguf")
    assert error.facts["offset"] == SMALL.index(b"second.weight") + 17
    assert "the shape of second.weight" in str(error)


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04aaaaaaaaaa", "zip"),
        (b"tjgg\x03\x00\x00\x00", "before GGUF"),
        (b"\x7fELF\x02\x01", "download or copy"),
    ],
)
def test_other_kinds_of_file_are_recognized(tmp_path: Path, start: bytes, hint: str) -> None:
    error = damage(tmp_path, start + bytes(100))
    assert error.facts["offset"] == 0
    assert hint in error.hint


@pytest.mark.parametrize(
    ("version", "words"),
    [(1, "version 1"), (4, "version 4"), (0, "version 0"), (3 << 24, "big-endian")],
)
def test_other_versions_are_unsupported(tmp_path: Path, version: int, words: str) -> None:
    with pytest.raises(ModelUnsupported, match=words):
        read(tmp_path, gguf_bytes(version=version))


# Absurd values


def key_of_length(size_bytes: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, size_bytes) + bytes(64)


def test_an_absurd_key_length_reads_like_this(tmp_path: Path) -> None:
    error = damage(tmp_path, key_of_length(9_000_000_000_000_000_000))
    assert str(error) == (
        "model.gguf is damaged at byte 24: expected a key of at most 65535 bytes, found 9e18"
    )
    assert error.facts["found"] == 9_000_000_000_000_000_000
    assert "edge-runtime models verify" in error.hint


def value_of_type(*numbers: int, count: int) -> bytes:
    """One key, "k", whose value says what it likes; 4096 bytes follow."""
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("k")
    return start + struct.pack(f"<{len(numbers)}IQ", *numbers, count) + bytes(4096)


ABSURD = {
    "tensors": b"GGUF" + struct.pack("<IQQ", 3, 10**9, 0) + bytes(64),
    "keys": b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60) + bytes(64),
    "strings": value_of_type(ARRAY, STRING, count=2**60),
    "strings for the file": value_of_type(ARRAY, STRING, count=3_000_000),
    "numbers": value_of_type(ARRAY, FLOAT32, count=2**60),
    "numbers for the file": value_of_type(ARRAY, FLOAT64, count=10_000_000),
    "text": value_of_type(STRING, count=2**63),
    "value type": value_of_type(13, count=0),
    "item type": value_of_type(ARRAY, 99, count=1),
    "string in a list": value_of_type(ARRAY, STRING, count=2)[:-4096] + b"\xff" * 40,
    "dimensions": gguf_bytes()[:8] + struct.pack("<QQ", 1, 0) + gguf_string("w") + b"\0\0\0\x80" * 20,
    "five dimensions": with_tensor((1, 1, 1, 1, 1)),
    "product": with_tensor((2**32, 2**32)),
    "size": with_tensor((2**40, 4)),
    "zero": with_tensor((0, 4)),
    "offset": with_tensor((4, 4), offset_bytes=2**63),
    "offset not aligned": with_tensor((4, 4), offset_bytes=4),
    "half a block": with_tensor((33,), GgmlType.Q8_0),
    "long tensor name": gguf_bytes(tensors={"w" * 64: np.ones(1)}),
    "no tensor name": gguf_bytes(tensors={"": np.ones(1)}),
    "zero in a name": gguf_bytes(tensors={"a\0b": np.ones(1)}),
    "alignment 0": gguf_bytes({"general.alignment": 0}),
    "alignment 48": gguf_bytes({"general.alignment": 48}),
    "alignment of another type": gguf_bytes({"general.alignment": Typed(UINT64, 32)}),
    "empty key": gguf_bytes({"": 1}),
    "key not in UTF-8": gguf_bytes({"kk": 1}).replace(b"kk", b"\xff\xfe"),
    "same key twice": gguf_bytes({"aa": 1, "ab": 2}).replace(b"ab", b"aa"),
    "same tensor twice": gguf_bytes(tensors={"aa": np.ones(1), "ab": np.ones(1)}).replace(b"ab", b"aa"),
    "tensor name not in UTF-8": gguf_bytes(tensors={"nn": np.ones(1)}).replace(b"nn", b"\xff\xfe"),
    "gap": gguf_bytes(
        tensors={"a": RawTensor((4,), 0, bytes(96)), "b": RawTensor((4,), 0, bytes(16), offset_bytes=96)}
    ),
    "overlap": gguf_bytes(
        tensors={"a": RawTensor((4,), 0, bytes(16)), "b": RawTensor((4,), 0, bytes(16), offset_bytes=0)}
    ),
}


@pytest.mark.parametrize("data", ABSURD.values(), ids=ABSURD.keys())
def test_absurd_values_are_refused_without_making_room_for_them(tmp_path: Path, data: bytes) -> None:
    tracemalloc.start()
    try:
        damage(tmp_path, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 2**20  # one read of 1 MiB, and the test itself


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensors", "at byte 8: expected at most 100000 tensors, found 1e9"),
        ("keys", "at byte 16: expected at most 20000 metadata keys, found 1e18"),
        ("strings", "at byte 41: expected at most 4000000 strings in k, found 1e18"),
    ],
)
def test_absurd_counts_name_the_limit(tmp_path: Path, name: str, words: str) -> None:
    assert words in str(damage(tmp_path, ABSURD[name]))


def test_a_damaged_string_names_its_place_in_the_list(tmp_path: Path) -> None:
    good = gguf_bytes({"list": ["ab", "cd", "ef"]})
    error = damage(tmp_path, good.replace(gguf_string("cd"), struct.pack("<Q", 2**50) + b"cd"))
    assert "string in list 1 of 3" in str(error) or "string in list 2 of 3" in str(error)


def test_lists_in_lists_are_unsupported_however_deep(tmp_path: Path) -> None:
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("k") + struct.pack("<I", ARRAY)
    with pytest.raises(ModelUnsupported, match="lists inside a list"):
        read(tmp_path, data + struct.pack("<IQ", ARRAY, 1) * 1000)


@pytest.mark.parametrize("kind", [4, 31, 38, 43, 2**31])
def test_unknown_tensor_types_are_unsupported(tmp_path: Path, kind: int) -> None:
    with pytest.raises(ModelUnsupported, match=rf"weight as tensor type {kind}\b"):
        read(tmp_path, with_tensor((32,), kind))


def test_a_header_may_not_be_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_cursor, "MAX_HEADER_BYTES", 100)
    assert "a header of at most 100 bytes" in str(damage(tmp_path, SMALL))


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "model.gguf", io.BytesIO(b"GGUF"), size_bytes=100)
    with pytest.raises(ModelFileInvalid, match="shrank"):
        cursor.take(8, "something")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_end_in_a_header_or_in_our_errors(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(SMALL)
    for place, value in changes:
        data[place] = value
    try:
        read(tmp_path, bytes(data))
    except EdgeRuntimeError as error:
        assert str(error)


def test_planned_damage_ends_in_a_header_or_in_our_errors(tmp_path: Path, rng: np.random.Generator) -> None:
    refused = 0
    for description, data in mutated_files(tiny_llama_gguf(), 330, rng):
        try:
            read(tmp_path, data)
        except EdgeRuntimeError:
            refused += 1
        except Exception as error:
            raise AssertionError(description) from error
    assert 100 < refused < 330  # the generator does neither nothing nor only the crudest things


def test_planned_damage_is_the_same_for_the_same_generator() -> None:
    runs = [list(mutated_files(SMALL, 33, np.random.default_rng(4))) for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_generator_of_damage_knows_every_field(tmp_path: Path) -> None:
    fields, header_bytes = header_fields(SMALL)
    assert [field.label for field in fields[:4]] == ["magic", "version", "tensor count", "key count"]
    assert [field.start for field in fields[1:]] == [f.start + f.size_bytes for f in fields[:-1]]
    assert 0 <= read(tmp_path, SMALL).data_offset_bytes - header_bytes < 32


# Files that are not there


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"nothing\.gguf does not exist") as caught:
        read_header(tmp_path / "nothing.gguf")
    assert caught.value.facts == {"path": str(tmp_path / "nothing.gguf")}


def test_a_folder_a_pipe_and_an_impossible_name_are_not_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    names = {str(tmp_path): "is a folder", str(tmp_path / "pipe"): "not a regular", "a\0b": "not exist"}
    for name, words in names.items():
        with pytest.raises(ModelNotFound, match=words):
            read_header(name)


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(SMALL)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root, who runs CI, may open everything
    with pytest.raises(ModelNotFound, match="cannot be read: Permission denied"):
        read_header(path)


# Split sets


def split_set(folder: Path, count: int = 3, **changes: object) -> list[Path]:
    paths = []
    for number in range(count):
        metadata: dict[str, object] = {
            "split.no": Typed(UINT16, number),
            "split.count": Typed(UINT16, count),
            "split.tensors.count": Typed(INT32, count),
        }
        if number == 0:
            metadata |= {"general.architecture": "llama", **changes}
        path = folder / f"big-{number + 1:05}-of-{count:05}.gguf"
        path.write_bytes(gguf_bytes(metadata, {f"weight.{number}": np.full(8, number)}))
        paths.append(path)
    return paths


def test_a_split_set_is_read_from_its_first_file(tmp_path: Path) -> None:
    paths = split_set(tmp_path)
    header = read_header(paths[0])
    assert header.paths == tuple(paths)
    assert [(tensor.name, tensor.file_index) for tensor in header.tensors] == [
        ("weight.0", 0),
        ("weight.1", 1),
        ("weight.2", 2),
    ]
    assert header.file_size_bytes == sum(path.stat().st_size for path in paths)
    assert header.architecture == "llama"


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    paths = split_set(tmp_path)
    paths[2].unlink()
    with pytest.raises(ModelNotFound, match=r"big-00003-of-00003\.gguf is missing") as caught:
        read_header(paths[0])
    assert caught.value.facts["path"] == str(paths[2])


def test_a_later_part_points_to_the_first(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid) as caught:
        read_header(split_set(tmp_path)[1])
    assert "big-00001-of-00003.gguf" in caught.value.hint


def test_a_renamed_part_asks_for_its_name(tmp_path: Path) -> None:
    other = split_set(tmp_path)[0].rename(tmp_path / "model.gguf")
    with pytest.raises(ModelFileInvalid, match=r"a name like model-00001-of-00003\.gguf"):
        read_header(other)


@pytest.mark.parametrize("number", [Typed(UINT16, 2), Typed(UINT8, 1), Typed(UINT16, [1]), "1", None])
def test_a_part_that_is_another_part_is_refused(tmp_path: Path, number: object) -> None:
    paths = split_set(tmp_path)
    metadata = {} if number is None else {"split.no": number}
    paths[1].write_bytes(gguf_bytes(metadata, {"weight.1": np.ones(8)}))
    with pytest.raises(ModelFileInvalid, match=r"big-00002.*split\.no 1"):
        read_header(paths[0])


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    paths = split_set(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    with pytest.raises(ModelFileInvalid, match=r"big-00002-of-00003\.gguf is damaged at byte"):
        read_header(paths[0])


def test_parts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="7 tensors in the set"):
        read_header(split_set(tmp_path, **{"split.tensors.count": Typed(INT32, 7)})[0])
    paths = split_set(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes().replace(b"weight.2", b"weight.1"))
    with pytest.raises(ModelFileInvalid, match="each tensor in one file only"):
        read_header(paths[0])
