"""Headers that are cut, absurd or damaged all end in one of our errors."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import (
    ARRAY,
    FLOAT32,
    FLOAT64,
    STRING,
    UINT64,
    RawTensor,
    Typed,
    gguf_bytes,
    gguf_string,
    tiny_llama_gguf,
)
from support.gguf_files import SMALL, damage, header_of, with_tensor
from support.mutations import header_fields, mutated_files

from edge_runtime.errors import EdgeRuntimeError, ModelFileInvalid, ModelUnsupported
from edge_runtime.gguf import cursor as gguf_cursor
from edge_runtime.gguf.cursor import Cursor
from edge_runtime.gguf.types import GgmlType

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
        header_of(tmp_path, gguf_bytes(version=version))


# Absurd values


def key_of_length(size_bytes: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, size_bytes) + bytes(64)


def test_an_absurd_key_length_reads_like_this(tmp_path: Path) -> None:
    error = damage(tmp_path, key_of_length(9_000_000_000_000_000_000))
    assert str(error) == (
        "model.gguf is damaged at byte 24: expected a key of at most 65535 bytes, found 9e18"
    )
    assert error.facts["found"] == 9_000_000_000_000_000_000
    assert "edge-runtime verify" in error.hint


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
        header_of(tmp_path, data + struct.pack("<IQ", ARRAY, 1) * 1000)


@pytest.mark.parametrize("kind", [4, 31, 38, 43, 2**31])
def test_unknown_tensor_types_are_unsupported(tmp_path: Path, kind: int) -> None:
    with pytest.raises(ModelUnsupported, match=rf"weight as tensor type {kind}\b"):
        header_of(tmp_path, with_tensor((32,), kind))


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
        header_of(tmp_path, bytes(data))
    except EdgeRuntimeError as error:
        assert str(error)


def test_planned_damage_ends_in_a_header_or_in_our_errors(tmp_path: Path, rng: np.random.Generator) -> None:
    refused = 0
    for description, data in mutated_files(tiny_llama_gguf(), 330, rng):
        try:
            header_of(tmp_path, data)
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
    assert 0 <= header_of(tmp_path, SMALL).data_offset_bytes - header_bytes < 32
