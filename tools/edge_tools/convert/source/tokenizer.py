"""Tokenizers under GGUF's names: SentencePiece's tokenizer.model, and BPE in tokenizer.json.

Source of the rules: llama.cpp conversion/base.py, _create_vocab_sentencepiece and get_vocab_base;
gguf-py/gguf/vocab.py, LlamaHfVocab.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.gguf.check_vocabulary import repeated_token
from edge_runtime.gguf.writing import HeaderValue

from .json_file import read_object_if_there
from .pre_tokenizer import pre_tokenizer_name
from .sentencepiece_file import Pieces, PieceType, read_pieces
from .source_error import damaged
from .special_tokens import special_metadata
from .tokenizer_files import AddedToken, TokenizerFiles

_PADDING_SCORE, _ADDED_SCORE = -10000.0, -1000.0
_SPACE = "\u2581"  # how SentencePiece writes one
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_LOOK_SPECIAL = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")  # of models that do not say that they are


class _Vocabulary:
    """A list of tokens, all padding at first."""

    def __init__(self, count: int) -> None:
        self.texts = [f"[PAD{number}]".encode() for number in range(count)]
        self.scores = [_PADDING_SCORE] * count
        self.types = [int(PieceType.UNUSED)] * count

    def set(self, number: int, text: str | bytes, kind: int, score: float = _ADDED_SCORE) -> None:
        """A number past the end is left out, as llama.cpp's converter does."""
        if number < len(self.texts):
            self.texts[number] = text.encode() if isinstance(text, str) else text
            self.types[number], self.scores[number] = kind, score

    def set_first(self, pieces: Pieces) -> None:
        """From number 0 on; those past the end are left out too."""
        count = min(len(self.texts), len(pieces.texts))
        kinds = np.where(pieces.kinds == PieceType.USER_DEFINED, PieceType.NORMAL, pieces.kinds)
        self.texts[:count] = pieces.texts[:count]
        self.scores[:count] = pieces.scores[:count].tolist()
        self.types[:count] = kinds[:count].tolist()

    def metadata(self, path: Path, model: str, with_scores: bool) -> dict[str, HeaderValue]:
        """Under GGUF's names. Raises ConversionError, naming the file at `path`, for a token held twice."""
        repeated = repeated_token(self.texts)
        if repeated is not None:
            text = self.texts[repeated[0]].decode("utf-8", "replace")[:60]
            raise damaged(
                path,
                f"the token {text!r} has two numbers, {repeated[0]} and {repeated[1]}; "
                "llama.cpp loads no such vocabulary",
                hint="give one of the two another text, such as <unused0>, in the tokenizer's files",
                found=repeated,
            )
        metadata: dict[str, HeaderValue] = {
            "tokenizer.ggml.model": model,
            "tokenizer.ggml.tokens": self.texts,
            "tokenizer.ggml.token_type": np.array(self.types, "<i4"),
        }
        return metadata | ({"tokenizer.ggml.scores": np.array(self.scores, "<f4")} if with_scores else {})


def sentencepiece_metadata(folder: Path, tokens: int) -> dict[str, HeaderValue]:
    """For a folder with a tokenizer.model, and a vocabulary of `tokens`. Raises ConversionError."""
    files = TokenizerFiles(folder)
    vocabulary = _pieces(files, tokens)
    for token in files.added_by_config:
        _add(vocabulary, token)
    return _sentencepiece_metadata(files, vocabulary)


def phi3_metadata(folder: Path, tokens: int) -> dict[str, HeaderValue]:
    """The same for Phi-3, whose added tokens stay as they are written, and stand in tokenizer.json too."""
    files = TokenizerFiles(folder)
    vocabulary = _pieces(files, tokens)
    for token in (*files.added_by_config, *files.added):
        kind = PieceType.CONTROL if token.special else PieceType.USER_DEFINED
        vocabulary.set(token.id, token.text, kind)
    return _sentencepiece_metadata(files, vocabulary)


def _pieces(files: TokenizerFiles, tokens: int) -> _Vocabulary:
    vocabulary = _Vocabulary(tokens)
    vocabulary.set_first(read_pieces(files.sentencepiece_path))
    path = files.folder / "added_tokens.json"
    for text, added in read_object_if_there(path).items():
        if isinstance(added, bool) or not isinstance(added, int) or added < 0:
            raise damaged(path, f"gives {text[:60]!r} the number {str(added)[:20]}")
        vocabulary.set(added, text, PieceType.USER_DEFINED)
    return vocabulary


def _sentencepiece_metadata(files: TokenizerFiles, vocabulary: _Vocabulary) -> dict[str, HeaderValue]:
    return {
        **vocabulary.metadata(files.sentencepiece_path, "llama", with_scores=True),
        "tokenizer.ggml.pre": "default",
        **special_metadata(files, len(vocabulary.texts)),
    }


def _add(vocabulary: _Vocabulary, token: AddedToken) -> None:
    if token.special or _looks_special(token.text):
        vocabulary.set(token.id, token.text, PieceType.CONTROL)
    else:
        vocabulary.set(token.id, token.text.replace(_SPACE, " "), PieceType.USER_DEFINED)


def _looks_special(text: str) -> bool:
    """As control tokens do that a checkpoint does not call special."""
    brackets = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
    return text in _LOOK_SPECIAL or any(text.startswith(a) and text.endswith(b) for a, b in brackets)


def byte_level_metadata(folder: Path, tokens: int) -> dict[str, HeaderValue]:
    """For a folder with a tokenizer.json whose BPE works on bytes, as GPT-2's. Raises ConversionError."""
    files = TokenizerFiles(folder)
    numbers = _numbers(files)
    vocabulary = _Vocabulary(tokens)
    added = _added_tokens(files, numbers)
    highest = max([*numbers.values(), *(token.id for token in added)])
    if highest >= tokens:
        raise damaged(files.json_path, f"has a token {highest}, but the model has only {tokens}")
    for text, number in numbers.items():
        vocabulary.set(number, text, PieceType.NORMAL)
    for token in added:
        _add(vocabulary, token)
    return {
        **vocabulary.metadata(files.json_path, "gpt2", with_scores=False),
        "tokenizer.ggml.pre": pre_tokenizer_name(files.json_path, files.tokenizer),
        "tokenizer.ggml.merges": _merges(files),
        **special_metadata(files),
    }


def byte_fallback_metadata(folder: Path, model: str, with_merges: bool) -> dict[str, HeaderValue]:
    """For a tokenizer.json that is SentencePiece's BPE: whole characters, and bytes for rare ones.

    The vocabulary is as long as the file's; `model` is llama.cpp's name of the tokenizer.
    """
    files = TokenizerFiles(folder)
    numbers = _numbers(files)
    later = sorted(token for token in files.added if token.id >= len(numbers))
    vocabulary = _Vocabulary(len(numbers) + len(later))
    special = files.special_texts() | _gemma_defaults(files)
    for text, number in numbers.items():
        kind = PieceType.CONTROL if text in special else PieceType.NORMAL
        vocabulary.set(number, text, PieceType.BYTE if _BYTE.fullmatch(text) else kind)
    for place, token in enumerate(later, start=len(numbers)):
        kind = PieceType.CONTROL if token.text in special else PieceType.USER_DEFINED
        vocabulary.set(place, token.text, kind)
    merges: dict[str, HeaderValue] = {"tokenizer.ggml.merges": _merges(files)} if with_merges else {}
    return {
        **vocabulary.metadata(files.json_path, model, with_scores=True),
        **merges,
        **special_metadata(files, None if with_merges else len(vocabulary.texts)),
    }


def is_byte_fallback(folder: Path) -> bool:
    files = TokenizerFiles(folder)
    decoder = files.tokenizer.get("decoder")
    is_sequence = isinstance(decoder, dict) and decoder.get("type") == "Sequence"
    return files.model.get("type") == "BPE" and files.model.get("byte_fallback") is True and is_sequence


def _gemma_defaults(files: TokenizerFiles) -> set[str]:
    """Special tokens of transformers' class for Gemma, which a file need not name."""
    name = str(files.config.get("tokenizer_class"))
    return {"<bos>", "<eos>", "<unk>", "<pad>", "<mask>"} if name.startswith("Gemma") else set()


def _numbers(files: TokenizerFiles) -> dict[str, int]:
    """Text -> number, as the model in tokenizer.json says."""
    if not files.json_path.is_file():
        raise damaged(
            files.json_path, "is missing, and so is tokenizer.model", hint="fetch the tokenizer too"
        )
    if files.model.get("type", "BPE") != "BPE":
        raise damaged(files.json_path, f"is of the kind {files.model.get('type')}; only BPE is known")
    numbers = files.model.get("vocab")
    if not isinstance(numbers, dict) or not numbers:
        raise damaged(files.json_path, "has no vocabulary")
    for text, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**24:
            raise damaged(files.json_path, f"gives {text[:60]!r} the number {str(number)[:20]}")
    return numbers


def _added_tokens(files: TokenizerFiles, numbers: dict[str, int]) -> list[AddedToken]:
    """Those of both files, and those of the vocabulary that tokenizer_config.json names as special."""
    found = {token.id: token for token in (*files.added_by_config, *files.added)}
    for text in files.special_texts():
        if text in numbers and numbers[text] not in found:
            found[numbers[text]] = AddedToken(numbers[text], text, True)
    return list(found.values())


def _merges(files: TokenizerFiles) -> list[bytes]:
    """Each as its two parts with a space between; a space inside a part is written as a letter."""
    merges = files.model.get("merges")
    if not isinstance(merges, list) or not merges:
        raise damaged(files.json_path, "has no merges")
    return [_merge(files.json_path, merge) for merge in merges]


def _merge(path: Path, merge: Any) -> bytes:
    if isinstance(merge, str):
        return merge.encode()
    if isinstance(merge, list) and len(merge) == 2 and all(isinstance(part, str) for part in merge):
        return " ".join(part.replace(" ", "\u0120") for part in merge).encode()
    raise damaged(path, f"has the merge {json.dumps(merge)[:60]}")
