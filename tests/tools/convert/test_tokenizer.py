"""Tokenizers, chat templates, model cards and generation defaults on their way into a GGUF file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_tools.convert import convert
from edge_tools.convert.general import size_label, title
from edge_tools.convert.model_card import read_card
from edge_tools.convert.source.pre_tokenizer import pre_tokenizer_name
from edge_tools.convert.source.tokenizer import sentencepiece_metadata
from support.tiny_checkpoint import QWEN2_WORDS, SMOLLM_WORDS, TOKENS, sentencepiece_bytes

from edge_runtime.errors import ConversionError
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgufStringArray


def test_the_tokenizer_and_all_around_it_are_carried(llama: Path, tmp_path: Path) -> None:
    (llama / "generation_config.json").write_text('{"temperature": 0.6, "top_k": 40, "do_sample": true}')
    (llama / "README.md").write_text(
        "---\nlicense: mit\ntags: [tiny, 'a b']\nlanguage:\n- en\n- no  # not false\n"
        "base_model: people/base-model-7b\n---\n# Hello\n"
    )
    metadata = read_header(convert(llama, tmp_path / "model.gguf").path).metadata
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufStringArray)
    assert (tokens[1], tokens[TOKENS - 2], tokens[TOKENS - 1]) == (
        "<|im_start|>",
        "<think>",
        f"[PAD{TOKENS - 1}]",
    )
    kinds = metadata["tokenizer.ggml.token_type"]
    assert isinstance(kinds, np.ndarray)
    assert [kinds[i] for i in (0, 3, TOKENS - 2, TOKENS - 1)] == [3, 1, 4, 5]
    assert metadata["tokenizer.ggml.pre"] == "smollm"
    assert list(metadata["tokenizer.ggml.merges"])[2] == "Ġ the"  # type: ignore[arg-type]
    assert (metadata["tokenizer.ggml.bos_token_id"], metadata["tokenizer.ggml.eos_token_id"]) == (1, 2)
    assert str(metadata["tokenizer.chat_template"]).startswith("{% for m")
    assert (metadata["general.name"], metadata["general.license"]) == ("Tiny Llama", "mit")
    assert metadata["general.sampling.temp"] == pytest.approx(0.6)
    assert metadata["general.sampling.top_k"] == 40
    assert list(metadata["general.tags"]) == ["tiny", "a b"]  # type: ignore[arg-type]
    assert list(metadata["general.languages"]) == ["en", "no"]  # type: ignore[arg-type]
    assert metadata["general.base_model.0.name"] == "Base Model 7b"
    assert metadata["general.base_model.0.repo_url"] == "https://huggingface.co/people/base-model-7b"


def test_sentencepiece_is_read_without_its_library(tmp_path: Path) -> None:
    pieces = [("<pad>", 0.0, 3), ("<s>", 0.0, 3), ("<unk>", 0.0, 2), ("<0x0A>", 0.0, 6), ("▁the", -1.5, 1)]
    pieces += [("<user>", 0.0, 4), ("<gone>", 0.0, 5)]
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_bytes(pieces))
    (tmp_path / "added_tokens.json").write_text('{"<extra>": 7, "<far>": 99}')
    config = {"added_tokens_decoder": {"8": {"content": "▁▁", "special": False}}, "add_bos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"bos_token_id": 1, "eos_token_id": [1, 2], "pad_token_id": 77}')
    metadata: dict[str, Any] = sentencepiece_metadata(tmp_path, 10)
    expected = [text.encode() for text, _, _ in pieces] + [b"<extra>", b"  ", b"[PAD9]"]
    assert metadata["tokenizer.ggml.tokens"] == expected
    assert metadata["tokenizer.ggml.token_type"].tolist() == [3, 3, 2, 6, 1, 1, 5, 4, 4, 5]
    assert metadata["tokenizer.ggml.scores"].tolist()[4:] == [-1.5, 0, 0, -1000, -1000, -10000]
    assert metadata["tokenizer.ggml.bos_token_id"] == 1
    assert metadata["tokenizer.ggml.add_bos_token"] is True
    assert not {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id"} & set(metadata)


@pytest.mark.parametrize("raw", [b"\x0a\xff", b"\x0a\x05ab", b"\x0f", b"\xff" * 12])
def test_a_damaged_sentencepiece_file_is_named(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(raw)
    with pytest.raises(ConversionError, match=r"tokenizer\.model: is no SentencePiece model"):
        sentencepiece_metadata(tmp_path, 10)


@pytest.mark.parametrize(
    ("before", "name"),
    [
        (SMOLLM_WORDS, "smollm"),
        ({"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "gpt-2"),
        ({"type": "ByteLevel", "add_prefix_space": False}, "gpt-2"),
        (
            {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated"},
                    {"type": "ByteLevel", "use_regex": False},
                ],
            },
            "qwen2",
        ),
    ],
)
def test_ways_to_split_words_have_llama_cpps_names(before: Any, name: str) -> None:
    assert pre_tokenizer_name(Path("tokenizer.json"), {"pre_tokenizer": before}) == name


@pytest.mark.parametrize("before", [None, {"type": "Whitespace"}, {"type": "Sequence", "pretokenizers": 3}])
def test_another_way_to_split_words_is_refused(before: Any) -> None:
    with pytest.raises(ConversionError, match="splits words in a way that is not known") as caught:
        pre_tokenizer_name(Path("tokenizer.json"), {"pre_tokenizer": before})
    assert "qwen2" in caught.value.hint


def test_cards_with_other_yaml_are_read_as_far_as_possible(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(
        "---\n# a comment\nlicense: other\nlicense_name: 'a: b'\nmodel-index:\n- name: x\n  results:\n"
        '  - task: 3\nextra: >-\n  folded\ntags:\n  - one\n  - "two"\nempty:\n---\n'
    )
    card = read_card(path)
    assert (card["license"], card["license_name"], card["tags"]) == ("other", "a: b", ["one", "two"])
    assert "extra" not in card
    assert "empty" not in card
    path.write_text("# No card")
    assert read_card(path) == {}


def test_sizes_and_titles() -> None:
    assert [size_label(n) for n in (270_000, 1_235_814_400, 135_000_000, 4_600_000_000_000)] == [
        *("270K", "1.2B", "135M", "4.6T")
    ]
    assert title("gemma-3n-E2B-it") == "Gemma 3n E2B It"


def test_one_token_under_two_numbers_is_refused_before_anything_is_written(
    llama: Path, tmp_path: Path
) -> None:
    path = llama / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"][-1]["content"] = tokenizer["added_tokens"][-2]["content"]
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ConversionError, match="has two numbers") as caught:
        convert(llama, tmp_path / "model.gguf")
    assert "tokenizer.json" in str(caught.value)
    assert caught.value.hint
    assert sorted(p.name for p in tmp_path.glob("*.gguf*")) == []


def test_a_sentencepiece_repeated_by_an_added_token_is_refused(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("a", -1.0, 1)]
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_bytes(pieces))
    (tmp_path / "added_tokens.json").write_text('{"a": 4}')
    with pytest.raises(ConversionError, match="'a' has two numbers, 3 and 4"):
        sentencepiece_metadata(tmp_path, 5)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_git_lfs_pointer_is_called_one(llama: Path, tmp_path: Path, name: str) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (llama / name).write_text(pointer)
    with pytest.raises(ConversionError, match=f"{name}: is a Git LFS pointer") as caught:
        convert(llama, tmp_path / "model.gguf")
    assert "git lfs pull" in caught.value.hint
