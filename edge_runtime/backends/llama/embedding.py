"""Embeddings: the mean of a text's last hidden states, or the model's own pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import BackendFailed, ContextFull
from ..backend import Chunk, DecodeStatus, Float32Array
from ..context_settings import ContextSettings
from .context import LlamaContext
from .model import LlamaModel

# llama.cpp reserves a row of logits for every token that yields an embedding:
# 32 rows of Gemma's vocabulary are 34 MB, 512 are 537 MB. A model that pools by
# itself must see a text in one step, so there the limit is tighter.
_TOKENS_PER_STEP = 32
_MOST_TOKENS = 2048
_MOST_TOKENS_POOLED = 512


def embed_texts(model: LlamaModel, token_lists: Sequence[Sequence[int]], *, threads: int) -> Float32Array:
    """(texts, embedding length), not normalized: the model's own pooling, else the mean over tokens.

    The context it needs lives only for this call.
    Raises ContextFull for a text of more than 2048 tokens (512 when the model pools).
    """
    longest = max((len(tokens) for tokens in token_lists), default=1)
    _require_room(longest, _MOST_TOKENS_POOLED if model.pools else _MOST_TOKENS)
    context = LlamaContext(
        model,
        ContextSettings(
            context_tokens=max(longest, _TOKENS_PER_STEP),
            batch_tokens=max(longest, 1) if model.pools else _TOKENS_PER_STEP,
            threads=threads,
        ),
        embeddings=True,
    )
    embed_one = _pooled if model.pools else _mean_of_tokens
    try:
        rows = [embed_one(context, tokens, model.embedding_length) for tokens in token_lists]
    finally:
        context.close()
    return np.array(rows, np.float32).reshape(len(rows), model.embedding_length)


def _require_room(longest: int, limit: int) -> None:
    if longest > limit:
        raise ContextFull(
            f"a text has {longest} tokens, embeddings take at most {limit}",
            hint="split the text into paragraphs",
            prompt_tokens=longest,
            context_tokens=limit,
        )


def _mean_of_tokens(context: LlamaContext, tokens: Sequence[int], length: int) -> Float32Array:
    total = np.zeros(length, np.float64)
    context.remove(0, -1)
    for start in range(0, len(tokens), _TOKENS_PER_STEP):
        part = tokens[start : start + _TOKENS_PER_STEP]
        _decode(context, Chunk(0, start, part, wants_logits=True))
        for row in range(len(part)):
            total += context.embedding(row, length)
    mean: Float32Array = (total / max(len(tokens), 1)).astype(np.float32)
    return mean


def _pooled(context: LlamaContext, tokens: Sequence[int], length: int) -> Float32Array:
    context.remove(0, -1)
    _decode(context, Chunk(0, 0, tokens, wants_logits=True))
    row: Float32Array = context.sequence_embedding(0, length).copy()
    return row


def _decode(context: LlamaContext, chunk: Chunk) -> None:
    status = context.decode([chunk], all_rows=True)
    if status is not DecodeStatus.DONE:
        raise BackendFailed(f"embedding stopped: {status.value}", session_good=True)
