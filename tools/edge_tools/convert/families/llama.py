"""Llama, SmolLM, TinyLlama, and Mistral, which is a Llama with heads of its own size.

Source: llama.cpp conversion/llama.py, src/models/llama.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.json_file import read_object_if_there
from ..source.target import Change, Target, constant
from ..source.tokenizer import (
    byte_fallback_metadata,
    byte_level_metadata,
    is_byte_fallback,
    sentencepiece_metadata,
)
from .family import Family
from .parts import attention, ends, feed_forward, layers, rope, rope_number, standard_metadata, two_norms

_GRANITE_TOKENS = 49152  # SmolLM's vocabulary too: its tokenizer adds no first token


def _targets(config: Config) -> Iterator[Target]:
    yield from _rope_factors(config)
    yield from ends(config)
    yield from layers(config, _layer(config))


def _layer(config: Config) -> Iterator[Target]:
    if config.head_size() % 2:
        raise config.invalid("head_dim", "an even number", config.head_size())
    heads = {"attn_q": config.count("num_attention_heads"), "attn_k": config.kv_heads()}
    for target in attention(config):
        count = heads.get(target.name.split(".")[0])
        yield replace(target, change=Change.INTERLEAVE, heads=count) if count else target
    yield from feed_forward(config)
    yield from two_norms(config)


def _rope_factors(config: Config) -> Iterator[Target]:
    """Llama 3.1 turns slow frequencies more slowly; ggml divides each frequency by a factor."""
    full, _ = rope(config)
    if str(full.get("rope_type")).lower() == "llama3":
        yield constant("rope_freqs.weight", [_llama3_factor(config, index) for index in _pairs(config)])


def _pairs(config: Config) -> range:
    return range(0, config.head_size(), 2)


def _llama3_factor(config: Config, index: int) -> float:
    """In steps of single precision, as torch computes it.

    Source: transformers modeling_rope_utils.py, _compute_llama3_parameters.
    """
    full, _ = rope(config)
    factor = rope_number(config, full, "factor", 8.0)
    low, high = (
        rope_number(config, full, key, default)
        for key, default in (("low_freq_factor", 1.0), ("high_freq_factor", 4.0))
    )
    original = rope_number(config, full, "original_max_position_embeddings", 8192)
    base = rope_number(config, full, "rope_theta", 10000.0)
    if min(factor, low, high, original, base) <= 0 or low == high:
        raise config.invalid(
            "rope_parameters", "numbers above 0, and low_freq_factor below high_freq_factor", full
        )
    with np.errstate(all="ignore"):
        return _factor(config, base, index, (factor, low, high, original))


def _factor(config: Config, base: float, index: int, said: tuple[float, float, float, float]) -> float:
    factor, low, high, original = said
    power = np.float32(base ** float(np.float32(index) / np.float32(config.head_size())))
    wave_tokens = np.float32(2 * math.pi) / (np.float32(1) / power)
    if wave_tokens < original / high:
        return 1.0
    if wave_tokens > original / low:
        return factor
    smooth = (np.float32(original) / wave_tokens - np.float32(low)) / np.float32(high - low)
    one = np.float32(1)
    return float(one / ((one - smooth) / np.float32(factor) + smooth))


def _metadata(config: Config) -> dict[str, HeaderValue]:
    head_size = config.head_size()
    return {
        **standard_metadata(config),
        "attention.key_length": head_size,
        "attention.value_length": head_size,
        "vocab_size": config.count("vocab_size"),
        "rope.dimension_count": head_size,
    }


def _tokenizer(checkpoint: Checkpoint) -> dict[str, HeaderValue]:
    said = read_object_if_there(checkpoint.folder / "tokenizer_config.json").get("add_prefix_space")
    metadata: dict[str, HeaderValue] = {}
    if isinstance(said, bool):
        metadata["tokenizer.ggml.add_space_prefix"] = said
    tokens = checkpoint.config.count("vocab_size")
    if (checkpoint.folder / "tokenizer.model").is_file():
        metadata |= sentencepiece_metadata(checkpoint.folder, tokens)
    elif is_byte_fallback(checkpoint.folder):
        metadata |= byte_fallback_metadata(checkpoint.folder, "llama", with_merges=False)
        metadata["tokenizer.ggml.pre"] = "default"
    else:
        metadata |= byte_level_metadata(checkpoint.folder, tokens)
    if tokens == _GRANITE_TOKENS:
        metadata["tokenizer.ggml.add_bos_token"] = False
    return metadata


LLAMA = Family(
    ("LlamaForCausalLM", "LLaMAForCausalLM"),
    "llama",
    _targets,
    _metadata,
    _tokenizer,
    defaults={
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    },
    ignored=("rotary_emb.inv_freq",),
)
MISTRAL = replace(
    LLAMA,
    architectures=("MistralForCausalLM",),
    defaults={**LLAMA.defaults, "max_position_embeddings": 131072, "num_key_value_heads": 8},
)
FAMILIES = (LLAMA, MISTRAL)
