"""Qwen 2, Qwen 2.5 and Qwen 3.

Source: llama.cpp conversion/qwen.py, src/models/qwen2.cpp and qwen3.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.target import Target
from ..source.tokenizer import byte_level_metadata, sentencepiece_metadata
from .family import Family
from .parts import attention, ends, feed_forward, layers, query_and_key_norms, standard_metadata, two_norms

_DEFAULTS = {
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "num_key_value_heads": 32,
    "tie_word_embeddings": False,
}


def _qwen2_layer(config: Config) -> Iterator[Target]:
    yield from attention(config)
    yield from feed_forward(config)
    yield from two_norms(config)


def _qwen3_layer(config: Config) -> Iterator[Target]:
    yield from _qwen2_layer(config)
    yield from query_and_key_norms(config.head_size())


def _qwen2_targets(config: Config) -> Iterator[Target]:
    yield from ends(config)
    yield from layers(config, _qwen2_layer(config))


def _qwen3_targets(config: Config) -> Iterator[Target]:
    yield from ends(config)
    yield from layers(config, _qwen3_layer(config))


def _tokenizer(checkpoint: Checkpoint) -> dict[str, HeaderValue]:
    tokens = checkpoint.config.count("vocab_size")
    if (checkpoint.folder / "tokenizer.model").is_file():
        return sentencepiece_metadata(checkpoint.folder, tokens)
    return byte_level_metadata(checkpoint.folder, tokens)


QWEN2 = Family(
    ("Qwen2ForCausalLM", "Qwen2Model"),
    "qwen2",
    _qwen2_targets,
    standard_metadata,
    _tokenizer,
    defaults=_DEFAULTS,
    ignored=("rotary_emb.inv_freq",),
)
QWEN3 = Family(
    ("Qwen3ForCausalLM", "Qwen3Model"),
    "qwen3",
    _qwen3_targets,
    standard_metadata,
    _tokenizer,
    defaults={**_DEFAULTS, "head_dim": 128},
    ignored=("rotary_emb.inv_freq",),
)
FAMILIES = (QWEN2, QWEN3)
