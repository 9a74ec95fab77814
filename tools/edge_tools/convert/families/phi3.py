"""Phi-3: queries, keys and values in one matrix, gate and up in one.

Source: llama.cpp conversion/phi.py, src/models/phi3.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.target import Target, constant, copied
from ..source.tokenizer import byte_level_metadata, phi3_metadata
from .family import Family
from .parts import ends, layers, rope, rope_count, rope_number, two_norms


def _targets(config: Config) -> Iterator[Target]:
    yield from _long_factors(config)
    yield from ends(config)
    yield from layers(config, _layer(config))


def _layer(config: Config) -> Iterator[Target]:
    width, size = config.count("hidden_size"), config.count("intermediate_size")
    heads, kv_heads = config.count("num_attention_heads"), config.kv_heads()
    head_size = config.head_size()
    yield copied("self_attn.qkv_proj.weight", "attn_qkv.weight", (heads + 2 * kv_heads) * head_size, width)
    yield copied("self_attn.o_proj.weight", "attn_output.weight", width, heads * head_size)
    yield copied("mlp.gate_up_proj.weight", "ffn_up.weight", 2 * size, width)
    yield copied("mlp.down_proj.weight", "ffn_down.weight", width, size)
    yield from two_norms(config)


def _long_factors(config: Config) -> Iterator[Target]:
    """What each frequency is divided by in short and in long contexts, for the 128k models."""
    full, _ = rope(config)
    if not full.get("long_factor"):
        return
    for name in ("long", "short"):
        factors = full.get(f"{name}_factor")
        if not isinstance(factors, list) or len(factors) != _rotated(config) // 2:
            raise config.invalid(
                f"rope_parameters.{name}_factor", f"{_rotated(config) // 2} numbers", factors
            )
        yield constant(
            f"rope_factors_{name}.weight",
            [config.checked_fraction(f"{name}_factor", factor) for factor in factors],
        )


def _rotated(config: Config) -> int:
    """Numbers of each head that are rotated."""
    full, _ = rope(config)
    share = rope_number(config, full, "partial_rotary_factor", config.fraction("partial_rotary_factor", 1.0))
    if not 0 < share <= 1:
        raise config.invalid("partial_rotary_factor", "above 0, at most 1", share)
    return int(share * config.count("hidden_size")) // config.count("num_attention_heads")


def _metadata(config: Config) -> dict[str, HeaderValue]:
    full, _ = rope(config)
    original = _original_context(config)
    metadata: dict[str, HeaderValue] = {
        "context_length": config.count("max_position_embeddings"),
        "rope.scaling.original_context_length": original,
        "embedding_length": config.count("hidden_size"),
        "feed_forward_length": config.count("intermediate_size"),
        "block_count": config.layers(),
        "attention.head_count": config.count("num_attention_heads"),
        "attention.head_count_kv": config.kv_heads(),
        "attention.layer_norm_rms_epsilon": config.fraction("rms_norm_eps"),
        "rope.dimension_count": _rotated(config),
        "rope.freq_base": rope_number(config, full, "rope_theta"),
        # 0 tells a Phi-4 from a Phi-3, which llama.cpp gives a window of its own where none is said
        "attention.sliding_window": config.number("sliding_window", 0),
    }
    if full.get("long_factor"):
        metadata["rope.scaling.attn_factor"] = _attention_factor(config, original)
    return metadata


def _original_context(config: Config) -> int:
    full, _ = rope(config)
    return rope_count(config, full, "original_max_position_embeddings")


def _attention_factor(config: Config, original: int) -> float:
    """Source: transformers modeling_rope_utils.py, _compute_longrope_parameters."""
    ratio = config.count("max_position_embeddings") / original
    return math.sqrt(1 + math.log(ratio) / math.log(original)) if min(ratio, original) > 1 else 1.0


def _tokenizer(checkpoint: Checkpoint) -> dict[str, HeaderValue]:
    tokens = checkpoint.config.count("vocab_size")
    if (checkpoint.folder / "tokenizer.model").is_file():
        return phi3_metadata(checkpoint.folder, tokens)
    return byte_level_metadata(checkpoint.folder, tokens)


PHI3 = Family(
    ("Phi3ForCausalLM",),
    "phi3",
    _targets,
    _metadata,
    _tokenizer,
    defaults={
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    },
    ignored=("rotary_emb.inv_freq",),
)
FAMILIES = (PHI3,)
