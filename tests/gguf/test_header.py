"""Reading headers: sound ones come back whole, files that are not there are named."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from support.builders import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    UINT8,
    UINT16,
    UINT64,
    Typed,
    gguf_bytes,
    tiny_gemma3_gguf,
)
from support.gguf_files import SMALL, header_of, with_tensor

from edge_runtime.errors import ModelNotFound
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType, GgufStringArray

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
    header = header_of(tmp_path, gguf_bytes({key: given for key, (given, _) in values.items()}))
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
    found = header_of(tmp_path, gguf_bytes({"list": Typed(kind, items)})).metadata["list"]
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), items)


def test_tensors_are_placed_one_after_the_other(tmp_path: Path) -> None:
    header = header_of(tmp_path, SMALL)
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
    assert header_of(tmp_path, SMALL[:-12]).tensors[1].size_bytes == 20


def test_version_2_and_another_alignment_are_read(tmp_path: Path) -> None:
    data = gguf_bytes({"general.alignment": 64}, {"w": np.ones(3), "x": np.ones(3)}, alignment_bytes=64)
    data = data[:4] + struct.pack("<I", 2) + data[8:]
    header = header_of(tmp_path, data)
    assert (header.version, header.data_offset_bytes % 64) == (2, 0)
    assert header.tensors[1].offset_bytes == header.data_offset_bytes + 64


def test_quantized_tensors_count_in_blocks(tmp_path: Path) -> None:
    # 256 columns are one Q4_K block of 144 bytes; two rows
    header = header_of(tmp_path, with_tensor((256, 2), GgmlType.Q4_K, bytes(288)))
    assert header.tensors[0].size_bytes == 288


def test_shortcuts_name_what_people_ask_for(tmp_path: Path) -> None:
    header = header_of(tmp_path, tiny_gemma3_gguf(chat_template="{{ messages }}"))
    assert (header.architecture, header.name) == ("gemma3", "tiny gemma")
    assert (header.block_count, header.context_length, header.vocabulary_size) == (2, 256, 300)
    assert header.chat_template == "{{ messages }}"
    assert header.hyperparameter("attention.head_count") == 4
    assert header.hyperparameter("attention.no_such_thing") is None


def test_shortcuts_of_an_empty_file_are_none(tmp_path: Path) -> None:
    header = header_of(tmp_path, gguf_bytes())
    found = (header.architecture, header.name, header.chat_template, header.block_count)
    assert found == (None, None, None, None)
    assert (header.vocabulary_size, header.tensors, header.tensor_bytes) == (0, (), 0)


def test_text_that_is_not_utf8_is_shown_with_a_sign(tmp_path: Path) -> None:
    header = header_of(tmp_path, gguf_bytes({"general.name": b"a\xff", "list": [b"b\xfe", b"c"]}))
    assert header.name == "a\ufffd"
    found = header.metadata["list"]
    assert isinstance(found, GgufStringArray)
    assert (list(found), found.bytes_at(0)) == (["b\ufffd", "c"], b"b\xfe")


def test_block_sizes_are_those_of_the_gguf_package() -> None:
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    theirs[GgmlType.Q8_1] = (32, 36)  # gguf 0.19 says 40; the C structure is 2 halves and 32 bytes
    ours = {int(kind): (kind.block_elements, kind.block_bytes) for kind in GgmlType}
    assert {kind: ours[kind] for kind in theirs} == theirs


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
