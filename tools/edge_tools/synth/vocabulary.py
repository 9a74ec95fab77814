"""A real tokenizer for a made-up model: another GGUF file's, cut or padded to the length needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.catalog.catalog import locate
from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import GgufStringArray
from edge_runtime.gguf.writing import HeaderValue

DEFAULT_TOKENIZER = "gemma-3-270m"  # small, and all of Gemma's 262,144 tokens

_TOKENS = "tokenizer.ggml.tokens"
# How llama.cpp's converter fills up a list. Source: conversion/base.py, _create_vocab_sentencepiece.
_PADDING = {"tokenizer.ggml.scores": -10000.0, "tokenizer.ggml.token_type": 5}


def tokenizer_metadata(tokens: int, source: str | Path | None = None) -> dict[str, HeaderValue]:
    """All `tokenizer.` metadata of a GGUF file, for a vocabulary of `tokens`.

    `source` is a model's name or path, by default gemma-3-270m. The last tokens are
    cut off, and a special token with them; missing ones become [PAD...], as converters do.

    Raises ModelNotFound (the hint says which command fetches it), ModelFileInvalid or
    ModelUnsupported.
    """
    header = read_header(locate(source or DEFAULT_TOKENIZER).path)
    taken = {key: value for key, value in header.metadata.items() if key.startswith("tokenizer.")}
    metadata: dict[str, HeaderValue] = dict(taken)
    metadata[_TOKENS] = _fitted_tokens(header, tokens)
    for key, padding in _PADDING.items():
        values = taken.get(key)
        if isinstance(values, np.ndarray):
            metadata[key] = _fitted(values, tokens, padding)
    return {key: value for key, value in metadata.items() if not _is_cut_off(key, value, tokens)}


def _fitted_tokens(header: GgufHeader, count: int) -> list[bytes]:
    tokens = header.metadata.get(_TOKENS)
    if not isinstance(tokens, GgufStringArray) or not len(tokens):
        raise ModelUnsupported(
            f"{header.path.name} has no tokenizer",
            hint="give tokenizer= another GGUF model",
            path=str(header.path),
        )
    kept = [tokens.bytes_at(index) for index in range(min(count, len(tokens)))]
    return kept + [f"[PAD{index}]".encode() for index in range(len(kept), count)]


def _fitted(values: NDArray[np.generic], count: int, padding: float) -> NDArray[np.generic]:
    missing = max(0, count - len(values))
    return np.concatenate([values[:count], np.full(missing, padding, values.dtype)])


def _is_cut_off(key: str, value: HeaderValue, tokens: int) -> bool:
    return key.endswith("_token_id") and isinstance(value, int) and value >= tokens
