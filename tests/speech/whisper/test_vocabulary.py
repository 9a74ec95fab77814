"""Token ids to text, from both kinds of vocabulary file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.errors import ModelFileInvalid, ModelNotFound
from edge_runtime.speech.whisper.vocabulary import Vocabulary, read_vocabulary

# "Ġ" is a space; "ðŁĺĢ" are the four bytes of U+1F600, "Ã©" the two of é.
SPELLINGS = ["Hello", "Ġworld", "ðŁ", "ĺĢ", "Ã", "©", "!", "<|endoftext|>", "<|en|>", "<|0.02|>"]


def test_text_joins_characters_that_tokens_share() -> None:
    vocabulary = Vocabulary(SPELLINGS)
    assert vocabulary.text([0, 1, 6]) == "Hello world!"
    assert vocabulary.text([4, 5, 2, 3]) == "é\U0001f600"
    assert vocabulary.text([0, 2]) == "Hello\ufffd"
    assert [vocabulary.characters(token) for token in (0, 1, 2, 3, 4, 5)] == [5, 6, 1, 0, 1, 0]


def test_every_byte_has_its_letter() -> None:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    vocabulary = Vocabulary([letters[byte] for byte in range(256)])
    assert b"".join(vocabulary.text_bytes(byte) for byte in range(256)) == bytes(range(256))


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    assert Vocabulary(["a", "\ud800", "b"]).text([0, 1, 2]) == "a?b"


def test_control_tokens_are_found_by_name_and_timestamps_left_out() -> None:
    assert Vocabulary(SPELLINGS).control_tokens == {"<|endoftext|>": 7, "<|en|>": 8}


def test_both_files_give_the_same(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        read_vocabulary(tmp_path)
    content = {
        "model": {"vocab": {text: token for token, text in enumerate(SPELLINGS[:7])}},
        "added_tokens": [{"id": 7 + n, "content": text} for n, text in enumerate(SPELLINGS[7:])],
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    from_tokenizer = read_vocabulary(tmp_path)
    (tmp_path / "vocabulary.txt").write_text("\n".join(SPELLINGS) + "\n", encoding="utf-8")
    from_lines = read_vocabulary(tmp_path)
    assert len(from_lines) == len(from_tokenizer) == len(SPELLINGS)
    for token, text in enumerate(SPELLINGS):
        assert from_lines.spelling(token) == from_tokenizer.spelling(token) == text
    assert from_lines.control_tokens == from_tokenizer.control_tokens


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("vocabulary.txt", b"a\xff\n", "not a vocabulary"),
        ("vocabulary.txt", b"\n" * ((1 << 20) + 1), "more than 1048576 lines"),
        ("vocabulary.txt", b"a" * ((8 << 20) + 1), "more than 8,388,608 bytes"),
        ("tokenizer.json", b"{", "JSONDecodeError"),
        ("tokenizer.json", b'{"model": []}', "TypeError"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": -1}}}', "not between 0 and"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 1e300}}}', "not between 0 and"),
        ("tokenizer.json", b"[" * 100_000, "RecursionError"),
    ],
)
def test_a_damaged_vocabulary_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileInvalid, match=says) as caught:
        read_vocabulary(tmp_path)
    assert name in str(caught.value)
