"""Texts with endless runs: llama.cpp's tokenizer survives them, and other texts are left as they are."""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pre_tokenizers import CONTROL, write_vocabulary
from support.tokenizing_child import tokenize_runs

from edge_runtime.backends.llama.long_runs import LONGEST_RUN, TokenTexts, cut_long_runs
from edge_runtime.backends.llama.model import LlamaModel
from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.check_vocabulary import check_vocabulary
from edge_runtime.gguf.header import read_header

# One name for each set of expressions: tests/real tries all of the names.
EXPRESSIONS = (
    "default minicpm5 llama-bpe deepseek-llm deepseek-coder deepseek-v3 spark2_5 youtu falcon "
    "gpt-2 jais-2 gemma4 sarvam-moe whitespace qwen2 qwen35 poro-chat chatglm-bpe viking tekken smollm "
    "exaone-moe chameleon gpt-4o granite-embed-multi-97m tiny_aya superbpe bailingmoe "
    "seed-coder hy_v4 kimi-k2 ufakzeka afmoe laguna"
).split()
# Words do not end where others' do: with spaces in them, or without any punctuation between them.
_OWN_WORDS = {"superbpe", "gemma4", "sarvam-moe", "whitespace", "poro-chat", "viking", "exaone-moe"}
_NO_TOKENS = TokenTexts(())


def pieces_of(text: str, *, spaced: bool = False) -> list[str]:
    pieces = cut_long_runs(text, _NO_TOKENS.are_cut, spaced=spaced)
    assert "".join(pieces) == text
    return pieces


@functools.cache
def vocabulary(pre: str) -> LlamaModel:
    with tempfile.TemporaryDirectory() as folder:
        return LlamaModel(write_vocabulary(Path(folder) / "v.gguf", pre), gpu_layers=0, vocab_only=True)


def plain_tokens(model: LlamaModel, text: str) -> list[int]:
    """llama_tokenize of the whole text."""
    return model._tokenize_piece(text, True, True)


@pytest.mark.parametrize("start", range(0, len(EXPRESSIONS), 12))
def test_endless_runs_end_no_process(tmp_path: Path, start: int) -> None:
    """With most of these, 32,000 equal characters overflowed a stack of 8 MB."""
    names = EXPRESSIONS[start : start + 12]
    tokenize_runs([write_vocabulary(tmp_path / f"{name}.gguf", name) for name in names], 40_000)


def test_no_piece_has_a_long_run() -> None:
    spaces = " \t\n\v\f\r"
    for unit in ("a", " ", "1", "\n", "中", "/\n", "\u00a0 ", "a\x85", "\x1c ", "aaa\u00a0\u00a0 "):
        for piece in pieces_of("x y " + unit * 5000):
            for kind in (rf"[^{spaces}]+", r"\s+", r"[\r\n/]+"):
                assert max(map(len, re.findall(kind, piece)), default=0) <= LONGEST_RUN
    assert max(map(len, pieces_of("a " * 5000, spaced=True))) <= LONGEST_RUN


def test_a_character_is_not_cut_from_its_accent() -> None:
    for piece in pieces_of("e\u0301" * 3000) + pieces_of("👩\u200d🚀" * 2000):
        assert not piece.startswith(("\u0301", "\u200d"))


# --- other texts -----------------------------------------------------------------------------


@pytest.mark.parametrize("pre", EXPRESSIONS)
def test_real_texts_tokenize_as_before(pre: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (Path("README.md"), Path("CHANGELOG.md"))]
    for text in [*texts, "x" * LONGEST_RUN + " " + " " * 900 + "1" * 900]:
        assert pieces_of(text) == [text]
        assert vocabulary(pre).tokenize(text, add_special=True, parse_special=True) == plain_tokens(
            vocabulary(pre), text
        )


_WORDS = st.lists(st.text(max_size=20), max_size=60).map(" ".join)


@settings(deadline=None, max_examples=30)
@given(_WORDS, st.sampled_from(EXPRESSIONS))
def test_any_text_tokenizes_as_before(text: str, pre: str) -> None:
    if pre == "whitespace" or "\x00" in text:
        return
    text = text.encode("utf-8", "replace").decode()
    model = vocabulary(pre)
    assert model.tokenize(text, add_special=True, parse_special=True) == plain_tokens(model, text)


@pytest.mark.parametrize("pre", [name for name in EXPRESSIONS if name not in _OWN_WORDS])
@pytest.mark.parametrize(
    "unit",
    [
        "人民共和国在这里，",
        '{"the_name":12,"and":"on"},',
        "aGVsbG8gd29ybGQ3dGhl",
        "the.and(in),on",
        "AA12th0090",
    ],
)
def test_long_texts_without_spaces_tokenize_as_if_they_were_not_cut(pre: str, unit: str) -> None:
    """Chinese, minified JSON, base64: cut where a word ends in any case."""
    text = unit * (6000 // len(unit))
    assert len(pieces_of(text)) > 4
    model = vocabulary(pre)
    assert model.tokenize(text, add_special=True, parse_special=True) == plain_tokens(model, text)


def test_a_control_token_is_not_cut() -> None:
    (control,) = plain_tokens(vocabulary("tekken"), CONTROL)[1:] or [0]
    for shift in range(len(CONTROL) + 1):
        text = "x" * (LONGEST_RUN - shift) + CONTROL + "x" * 3000
        assert vocabulary("tekken").tokenize(text, add_special=False, parse_special=True).count(control) == 1
        assert TokenTexts([CONTROL]).are_cut(text, LONGEST_RUN) is (0 < shift < len(CONTROL))


def test_a_cut_text_has_what_belongs_around_it(tmp_path: Path) -> None:
    changes = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True}
    model = LlamaModel(
        write_vocabulary(tmp_path / "v.gguf", "tekken", **changes), gpu_layers=0, vocab_only=True
    )
    tokens = model.tokenize("a" * 3000, add_special=True, parse_special=False)
    assert len(tokens) == 3002 and tokens[0] == 1 and tokens[-1] == 2
    assert model.tokenize_prompt("a" * 3000, add_special=True, parse_special=False) == tokens[:-1]
    model.close()


def test_an_end_token_stays_where_the_prompt_itself_has_it(tmp_path: Path) -> None:
    changes = {"tokenizer.ggml.add_eos_token": True}
    model = LlamaModel(
        write_vocabulary(tmp_path / "v.gguf", "gpt-2", **changes), gpu_layers=0, vocab_only=True
    )
    assert model.tokenize_prompt("a</s>", add_special=True, parse_special=True)[-1] == 2
    assert model.tokenize_prompt("a</s>", add_special=False, parse_special=True)[-1] == 2
    assert model.tokenize("a", add_special=True, parse_special=True)[-1] == 2
    assert model.tokenize_prompt("a", add_special=True, parse_special=True)[-1] != 2
    model.close()


def test_a_pre_tokenizer_that_fails_an_assertion_is_refused(tmp_path: Path) -> None:
    """Two spaces in a text would end the process."""
    changes = {"tokenizer.ggml.model": "gpt2"}
    header = read_header(write_vocabulary(tmp_path / "v.gguf", "whitespace", **changes))
    with pytest.raises(ModelFileInvalid, match=r"tokenizer\.ggml\.pre"):
        check_vocabulary(header)
    check_vocabulary(read_header(write_vocabulary(tmp_path / "w.gguf", "whitespace")))
