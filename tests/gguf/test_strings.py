"""Lists of strings in a header: read as they stand, decoded one at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.builders import gguf_bytes, gguf_string
from support.gguf_files import header_of

from edge_runtime.gguf import cursor as gguf_cursor
from edge_runtime.gguf.cursor import find_strings
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgufStringArray


@pytest.fixture
def words(tmp_path: Path) -> GgufStringArray:
    found = header_of(tmp_path, gguf_bytes({"words": ["eins", "", "zwölf", "🙂"]})).metadata["words"]
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
    found = header_of(tmp_path, gguf_bytes({"texts": texts, "after": 5}, {"w": np.ones(3)}))
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
