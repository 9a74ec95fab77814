"""Vocabularies that would end the process are stopped before llama.cpp; all others pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import spm_vocabulary, tiny_llama_gguf
from support.gguf_files import header_of, model, refuse

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader


def llama_tokens(**replaced: str) -> list[str]:
    tokens = spm_vocabulary(("<unk>", "<s>", "</s>"))["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    return [replaced.get(token, token) for token in tokens]


def with_tokens(tmp_path: Path, tokens: list[str], **changes: object) -> GgufHeader:
    return header_of(tmp_path, tiny_llama_gguf(changes={"tokenizer.ggml.tokens": tokens, **changes}))


def test_a_token_that_stands_twice_is_shown(tmp_path: Path) -> None:
    error = refuse(with_tokens(tmp_path, llama_tokens(b="a")), "tokenizer.ggml.tokens")
    assert "each token once, found 'a' as number 260 and 261" in str(error)


def test_tokens_that_differ_only_after_a_zero_byte_are_the_same_to_llama_cpp(tmp_path: Path) -> None:
    refuse(with_tokens(tmp_path, llama_tokens(b="a\0b")), "tokenizer.ggml.tokens")
    check_header(with_tokens(tmp_path, llama_tokens(b="b\0b")))


def test_several_empty_tokens_and_long_ones_pass(tmp_path: Path) -> None:
    check_header(with_tokens(tmp_path, llama_tokens(a="", b="", c="c" * 5000)))


def test_every_byte_needs_a_token(tmp_path: Path) -> None:
    error = refuse(with_tokens(tmp_path, llama_tokens(**{"<0x7F>": "<0x7f>"})), "tokenizer.ggml.tokens")
    assert "a token <0x7F>" in str(error)
    check_header(with_tokens(tmp_path, llama_tokens(**{"<0x7F>": "\x7f"})))


@pytest.mark.parametrize(
    ("changes", "sound"),
    [
        ({"add_bos_token": True}, False),
        ({"add_bos_token": True, "bos_token_id": 5}, True),
        ({"add_sep_token": True}, False),
        ({"add_eos_token": False}, True),
    ],
)
def test_a_token_that_is_always_added_must_exist(
    tmp_path: Path, changes: dict[str, object], sound: bool
) -> None:
    metadata = {"tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": list("abcdef")}
    metadata |= {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    header = model(tmp_path, "t5", {}, None, **metadata)
    if sound:
        check_header(header)
    else:
        with pytest.raises(ModelFileInvalid, match="the token to add to texts"):
            check_header(header)


def test_bytes_mean_nothing_to_a_bert_tokenizer(tmp_path: Path) -> None:
    tokens = [f"t{number}" for number in range(110)]
    metadata = {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * 109 + [6],
    }
    refuse(model(tmp_path, "bert", {}, None, **metadata), "tokenizer.ggml.token_type")
