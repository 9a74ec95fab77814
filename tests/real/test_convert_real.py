"""A converted checkpoint in the real engine: it loads, and its logits are the checkpoint's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_tools.convert import TYPES, convert
from support.tiny_checkpoint import (
    HEADS,
    KV_HEADS,
    LAYERS,
    TOKENS,
    WIDTH,
    llama_shapes,
    random_tensors,
    write_llama,
)

from edge_runtime import Runtime
from edge_runtime.backends.backend import BackendOptions, Chunk, DecodeStatus
from edge_runtime.backends.llama import LlamaBackend

Float = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
PROMPT = [1, 40, 263, 90, 2, 17]
# Mean distance of the logits from the checkpoint's, whose standard deviation is about 0.8.
TOLERANCES = {"f32": 1e-3, "bf16": 0.02, "f16": 0.02, "q8_0": 0.05, "q4_0": 0.5}


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_the_engines_logits_are_the_checkpoints(kind: str, tmp_path: Path) -> None:
    path = convert(write_llama(tmp_path / "tiny"), tmp_path / "model.gguf", kind).path
    backend = LlamaBackend(path, BackendOptions(context_tokens=64, threads=1))
    try:
        assert backend.decode([Chunk(0, 0, PROMPT, wants_logits=True)]) is DecodeStatus.DONE
        found = np.array(backend.logits(0), np.float64)
    finally:
        backend.close()
    assert np.abs(found - expected_logits(PROMPT)).mean() < TOLERANCES[kind]


def test_the_tokenizer_finds_its_merges_and_special_tokens(tmp_path: Path) -> None:
    path = convert(write_llama(tmp_path / "tiny"), tmp_path / "model.gguf").path
    backend = LlamaBackend(path, BackendOptions(context_tokens=64, threads=1))
    try:
        tokens = backend.tokenize("in the<|im_end|>", add_special=False, parse_special=True)
    finally:
        backend.close()
    assert list(tokens) == [262, 261, 2]  # "in", " the", the special token


def test_a_whole_runtime_answers_with_it(tmp_path: Path) -> None:
    path = convert(write_llama(tmp_path / "tiny"), tmp_path / "model.gguf", "q8_0").path
    with Runtime.open(path, context_tokens=256) as runtime:
        usage = runtime.generate("in the", raw=True, temperature=0, max_tokens=4).usage
    assert usage.prompt_tokens >= 2


def expected_logits(tokens: list[int]) -> Float:
    """(TOKENS,) after the last token: a Llama in plain numpy, as transformers computes it."""
    weights = {
        name: (raw.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        for name, (_, raw) in random_tensors(llama_shapes()).items()
    }
    hidden = weights["model.embed_tokens.weight"][tokens]  # (tokens, WIDTH)
    for layer in range(LAYERS):
        own = {name.split(".", 3)[3]: w for name, w in weights.items() if f".layers.{layer}." in name}
        hidden = hidden + attend(normed(hidden, own["input_layernorm.weight"]), own)
        middle = normed(hidden, own["post_attention_layernorm.weight"])
        gate = middle @ own["mlp.gate_proj.weight"].T
        up = middle @ own["mlp.up_proj.weight"].T
        hidden = hidden + (gate / (1 + np.exp(-gate)) * up) @ own["mlp.down_proj.weight"].T
    last: Float = normed(hidden, weights["model.norm.weight"])[-1] @ weights["model.embed_tokens.weight"].T
    assert last.shape == (TOKENS,)
    return last


def normed(hidden: Float, weight: Float) -> Float:
    scaled: Float = hidden / np.sqrt((hidden**2).mean(axis=-1, keepdims=True) + 1e-5) * weight
    return scaled


def attend(hidden: Float, own: dict[str, Float]) -> Float:
    count, size = len(hidden), WIDTH // HEADS
    queries = rotated((hidden @ own["self_attn.q_proj.weight"].T).reshape(count, HEADS, size))
    keys = rotated((hidden @ own["self_attn.k_proj.weight"].T).reshape(count, KV_HEADS, size))
    values = (hidden @ own["self_attn.v_proj.weight"].T).reshape(count, KV_HEADS, size)
    keys, values = (np.repeat(part, HEADS // KV_HEADS, axis=1) for part in (keys, values))
    scores = np.einsum("qhd,khd->hqk", queries, keys) / np.sqrt(size)
    scores += np.triu(np.full((count, count), -np.inf), 1)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", shares, values).reshape(count, WIDTH)
    result: Float = mixed @ own["self_attn.o_proj.weight"].T
    return result


def rotated(heads: Float) -> Float:
    """(tokens, heads, size) each number turned with the one half a head further, as transformers does."""
    half = heads.shape[-1] // 2
    angles = np.arange(len(heads))[:, None] / 10000 ** (np.arange(half) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    first, second = heads[..., :half], heads[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
