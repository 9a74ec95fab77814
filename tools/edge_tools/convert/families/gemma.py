"""Gemma 2, Gemma 3 and EmbeddingGemma; of a checkpoint that also sees pictures, the language part.

Source: llama.cpp conversion/gemma.py, src/models/gemma2.cpp, gemma3.cpp and gemma-embedding.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.target import Target
from ..source.tokenizer import sentencepiece_metadata
from .family import Family
from .parts import (
    attention,
    ends,
    feed_forward,
    four_norms,
    from_one,
    layers,
    query_and_key_norms,
    standard_metadata,
)

NOT_TEXT = ("vision_", "vision.", "audio_", "audio.", "projector.", "rotary_emb.inv_freq")
DEFAULTS = {
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-6,
    "head_dim": 256,
    "hidden_size": 2304,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "rope_theta": 1e6,
    "rope_local_base_freq": 1e4,
    "sliding_window": 4096,
    "vocab_size": 262208,
}


def _gemma2_layer(config: Config) -> Iterator[Target]:
    yield from attention(config)
    yield from feed_forward(config)
    yield from four_norms(config)


def _gemma3_layer(config: Config) -> Iterator[Target]:
    yield from _gemma2_layer(config)
    yield from query_and_key_norms(config.head_size())


def _gemma2_targets(config: Config) -> Iterator[Target]:
    yield from from_one(ends(config))
    yield from from_one(layers(config, _gemma2_layer(config)))


def _gemma3_targets(config: Config) -> Iterator[Target]:
    yield from from_one(ends(config))
    yield from from_one(layers(config, _gemma3_layer(config)))


def _gemma2_metadata(config: Config) -> dict[str, HeaderValue]:
    standard = standard_metadata(config)
    return {
        **{key: value for key, value in standard.items() if not key.startswith("rope.")},
        "attn_logit_softcapping": config.fraction("attn_logit_softcapping"),
        "final_logit_softcapping": config.fraction("final_logit_softcapping"),
        "attention.sliding_window": config.count("sliding_window"),
    }


def gemma3_metadata(config: Config) -> dict[str, HeaderValue]:
    metadata = standard_metadata(config)
    if config.get("attn_logit_softcapping") is not None:
        raise config.invalid("attn_logit_softcapping", "none", config.get("attn_logit_softcapping"))
    if config.get("final_logit_softcapping"):
        metadata["final_logit_softcapping"] = config.fraction("final_logit_softcapping")
    if config.get("sliding_window_pattern") != 1:
        metadata["attention.sliding_window"] = config.count("sliding_window")
    return metadata


def gemma_tokenizer(checkpoint: Checkpoint) -> dict[str, HeaderValue]:
    tokens = checkpoint.config.count("vocab_size")
    metadata = sentencepiece_metadata(checkpoint.folder, tokens)
    return {**metadata, "tokenizer.ggml.add_space_prefix": False}


GEMMA2 = Family(
    ("Gemma2ForCausalLM",),
    "gemma2",
    _gemma2_targets,
    _gemma2_metadata,
    gemma_tokenizer,
    defaults={
        **DEFAULTS,
        "max_position_embeddings": 8192,
        "vocab_size": 256000,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    ignored=("lm_head.weight", *NOT_TEXT),
)
GEMMA3 = Family(
    ("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    "gemma3",
    _gemma3_targets,
    gemma3_metadata,
    gemma_tokenizer,
    defaults=DEFAULTS,
    ignored=NOT_TEXT,
)
EMBEDDING_GEMMA = replace(GEMMA3, architectures=("Gemma3TextModel",), gguf_architecture="gemma-embedding")
FAMILIES = (GEMMA2, GEMMA3, EMBEDDING_GEMMA)
