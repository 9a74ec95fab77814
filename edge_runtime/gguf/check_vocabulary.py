"""Checks of a GGUF file's tokenizer: lists that fit each other, and tokens that exist.

A wrong vocabulary is worse than a wrong weight: llama.cpp fails an assertion, or
throws where nobody catches, and some of it only when a user types a rare letter.

Source: llama.cpp src/llama-vocab.cpp at 0c1e57098.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .header import GgufHeader
from .types import GgufStringArray

_TOKENS = "tokenizer.ggml.tokens"
_BYTE = 6  # a token that stands for one byte
_NO_TOKEN = 2**32 - 1  # what a converter writes for "none"

# Tokens llama.cpp uses when the file names none, by tokenizer: bos, eos, sep.
_DEFAULT_TOKENS: dict[str, dict[str, int]] = {
    "llama": {"bos": 1, "eos": 2},
    "bert": {"bos": 101, "seperator": 102},
    "gpt2": {"bos": 11, "eos": 11},
    "t5": {"eos": 1},
    "plamo2": {"bos": 1, "eos": 2},
    "gemma4": {},
}
# Added to every text, whether the file says so or not.
_ALWAYS_ADDED = {
    "llama": ("bos",),
    "bert": ("bos", "seperator"),
    "t5": ("eos",),
    "gemma4": ("bos",),
}
_ADD_KEYS = {"bos": "add_bos_token", "eos": "add_eos_token", "seperator": "add_sep_token"}  # (sic)


def check_vocabulary(header: GgufHeader) -> None:
    """Returns when llama.cpp can use the tokenizer, or when the file has none.

    Raises ModelFileInvalid with the key, what was expected and what was found.
    """
    tokens = header.metadata.get(_TOKENS)
    if tokens is None:
        return
    if not isinstance(tokens, GgufStringArray) or not len(tokens):
        raise header.invalid(_TOKENS, "a list of strings", tokens)
    model = header.metadata.get("tokenizer.ggml.model")
    if not isinstance(model, str):
        raise header.invalid("tokenizer.ggml.model", "the name of a tokenizer", model)
    _check_pre_tokenizer(header, model)
    _check_lists(header, len(tokens))
    _check_kinds(header, model)
    _check_special_tokens(header, model, len(tokens))
    _check_distinct(header, tokens)
    if model == "llama":
        _check_bytes(header, tokens)


def _check_pre_tokenizer(header: GgufHeader, model: str) -> None:
    """ "whitespace" leaves spaces in the words of any other tokenizer, and two of them fail an assertion."""
    if header.metadata.get("tokenizer.ggml.pre") == "whitespace" and model != "whitespace":
        raise header.invalid("tokenizer.ggml.pre", f"a pre-tokenizer for {model!r}", "whitespace")


def _check_lists(header: GgufHeader, count: int) -> None:
    for name, kinds in (("scores", "fi"), ("token_type", "i")):
        key = f"tokenizer.ggml.{name}"
        values = header.metadata.get(key)
        if values is None:
            continue
        if not isinstance(values, np.ndarray) or values.dtype.kind not in kinds or len(values) < count:
            raise header.invalid(key, f"{count} numbers, one for each token", values)
        if not np.isfinite(values).all():
            raise header.invalid(key, "finite numbers", "NaN or infinity")
    merges = header.metadata.get("tokenizer.ggml.merges")
    if merges is not None and not isinstance(merges, GgufStringArray):
        raise header.invalid("tokenizer.ggml.merges", "a list of strings", merges)


def _check_kinds(header: GgufHeader, model: str) -> None:
    kinds = header.metadata.get("tokenizer.ggml.token_type")
    if model == "bert" and isinstance(kinds, np.ndarray) and (kinds == _BYTE).any():
        raise header.invalid("tokenizer.ggml.token_type", "without bytes for a bert tokenizer", _BYTE)


def _check_special_tokens(header: GgufHeader, model: str, count: int) -> None:
    """Those that begin and end texts. llama.cpp does without a wrong padding token,
    which real files have."""
    for name in ("bos", "eos", "eot"):
        key = f"tokenizer.ggml.{name}_token_id"
        token = header.metadata.get(key)
        if token is None:
            continue
        if not isinstance(token, int) or (token != _NO_TOKEN and not 0 <= token < count):
            raise header.invalid(key, f"a token below {count}", token)
    for name, add_key in _ADD_KEYS.items() if model in _DEFAULT_TOKENS else ():
        added = header.metadata.get(f"tokenizer.ggml.{add_key}", name in _ALWAYS_ADDED.get(model, ()))
        if added is True and not _has_token(header, model, name, count):
            raise header.invalid(f"tokenizer.ggml.{name}_token_id", "the token to add to texts", "none")


def _has_token(header: GgufHeader, model: str, name: str, count: int) -> bool:
    own = header.metadata.get(f"tokenizer.ggml.{name}_token_id")
    tokens = (own, _DEFAULT_TOKENS[model].get(name))
    return any(isinstance(token, int) and 0 <= token < count for token in tokens)


def _check_distinct(header: GgufHeader, tokens: GgufStringArray) -> None:
    if not tokens.may_repeat():
        return
    repeated = repeated_token(tokens.iter_bytes())
    if repeated is not None:
        first, second = repeated
        raise header.invalid(_TOKENS, "each token once", f"{tokens[second]!r} as number {first} and {second}")


def repeated_token(tokens: Iterable[bytes]) -> tuple[int, int] | None:
    """The numbers of the first two tokens that are the same; None when all differ.

    llama.cpp asserts that they do. It sees them up to the first zero byte, and gives an
    empty one a name of its own.
    """
    seen: dict[bytes, int] = {}
    for index, token in enumerate(tokens):
        text = token.partition(b"\0")[0]
        if text and seen.setdefault(text, index) != index:
            return seen[text], index
    return None


def _check_bytes(header: GgufHeader, tokens: GgufStringArray) -> None:
    """A letter outside the vocabulary is spelled in bytes. Where a byte has no token,
    an exception leaves llama_tokenize and ends the process."""
    spelled = {tokens.bytes_at(index) for index in tokens.find(b"<0x", 6)}
    plain = {tokens.bytes_at(index) for index in tokens.find(b"", 1)}
    for byte in range(256):
        if b"<0x%02X>" % byte not in spelled and bytes([byte]) not in plain:
            raise header.invalid(_TOKENS, f"a token <0x{byte:02X}>", "none")
