"""Gemma 4 E2B and E4B, the language part: heads of two sizes, per-layer embeddings, shared caches.

Source: llama.cpp conversion/gemma.py, Gemma4Model; src/models/gemma4.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edge_runtime.gguf.layer_patterns import SHARED_LAYERS, WINDOW_PATTERN
from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.target import Target, constant, copied, in_layer
from ..source.tokenizer import byte_fallback_metadata
from .family import Family
from .gemma import DEFAULTS, NOT_TEXT, gemma3_metadata
from .gemma3n import shared_layers, sliding_layers
from .parts import attention, ends, feed_forward, four_norms, norm, query_and_key_norms, rope, rope_number

_NEVER = 1e30  # a frequency divided by this does not turn
_SHARED = ("attn_k.", "attn_v.", "attn_k_norm.")
# llama.cpp shows these to whoever reads the answer, who finds the calls of tools by them.
_VISIBLE = b'<|channel> <channel|> <|tool_call> <tool_call|> <|tool_response> <tool_response|> <|"|>'.split()
_USER_DEFINED = 4


def _targets(config: Config) -> Iterator[Target]:
    if config.flag("enable_moe_block") or "num_experts" in config:
        raise config.invalid("enable_moe_block", "false: experts are not supported", True)
    width = config.count("hidden_size")
    yield constant("rope_freqs.weight", _frequency_factors(config))
    yield from ends(config)
    if ple := config.number("hidden_size_per_layer_input"):
        size = config.layers() * ple
        stored = config.count("vocab_size_per_layer_input")
        yield copied("model.embed_tokens_per_layer.weight", "per_layer_token_embd.weight", stored, size)
        yield copied("model.per_layer_model_projection.weight", "per_layer_model_proj.weight", size, width)
        yield norm("model.per_layer_projection_norm", "per_layer_proj_norm", ple)
    first_shared = config.layers() - shared_layers(config)
    for number, is_sliding in enumerate(sliding_layers(config, every=6)):
        yield from in_layer(number, list(_layer(config, is_sliding, number >= first_shared)))


def _layer(config: Config, is_sliding: bool, shares: bool) -> Iterator[Target]:
    """Of a layer that shares another's cache, newer checkpoints leave out the keys and values."""
    head_size = config.head_size() if is_sliding else _full_head_size(config)
    for target in (*attention(_with_heads(config, is_sliding), head_size), *query_and_key_norms(head_size)):
        no_values = target.name == "attn_v.weight" and config.flag("attention_k_eq_v") and not is_sliding
        left_out = (shares and target.name.startswith(_SHARED)) or no_values
        yield replace(target, optional=True) if left_out else target
    width, size = config.count("hidden_size"), config.count("intermediate_size")
    yield from feed_forward(config, size * 2 if shares and config.flag("use_double_wide_mlp") else size)
    yield from four_norms(config)
    yield copied("layer_scalar", "layer_output_scale.weight", 1)
    if ple := config.number("hidden_size_per_layer_input"):
        yield copied("per_layer_input_gate.weight", "inp_gate.weight", ple, width)
        yield copied("per_layer_projection.weight", "proj.weight", width, ple)
        yield norm("post_per_layer_input_norm", "post_norm", width)


def _with_heads(config: Config, is_sliding: bool) -> Config:
    """The same with the key-value heads of such a layer."""
    full = None if is_sliding else _full_layers(config, "num_key_value_heads", "num_global_key_value_heads")
    return config if full is None else config.with_value("num_key_value_heads", full)


def _full_head_size(config: Config) -> int:
    size = _full_layers(config, "head_dim", "global_head_dim")
    if size is None:
        raise config.invalid("global_head_dim", "the size of a head in full layers", None)
    return size


def _full_layers(config: Config, key: str, old_key: str) -> int | None:
    """What layers that see everything have instead: said of them all, or of each in per_layer_config."""
    if old_key in config:
        return config.count(old_key)
    said = config.get("per_layer_config")
    for number, is_sliding in enumerate(sliding_layers(config, every=6)):
        values = said.get(str(number)) if isinstance(said, dict) else None
        if not is_sliding and isinstance(values, dict) and isinstance(values.get(key), int):
            return Config(config.path, values).count(key)
    return None


def _frequency_factors(config: Config) -> list[float]:
    """(half a head,) only the first part of a full layer's head turns."""
    full, _ = rope(config)
    if full.get("rope_type") != "proportional":
        raise config.invalid(
            "rope_parameters.full_attention.rope_type", "proportional", full.get("rope_type")
        )
    size = _full_head_size(config)
    share = rope_number(config, full, "partial_rotary_factor")
    if not 0 <= share <= 1:
        raise config.invalid("partial_rotary_factor", "from 0 to 1", share)
    turning = int(size * share / 2)
    return [1.0] * turning + [_NEVER] * (size // 2 - turning)


def _metadata(config: Config) -> dict[str, HeaderValue]:
    full_size, size, shared = (
        _full_head_size(config),
        config.head_size(),
        shared_layers(config),
    )
    sliding = sliding_layers(config, every=6)
    metadata: dict[str, HeaderValue] = {
        **gemma3_metadata(config),
        SHARED_LAYERS: shared,
        "embedding_length_per_layer_input": config.number("hidden_size_per_layer_input"),
        WINDOW_PATTERN: sliding,
        "attention.key_length": full_size,
        "attention.value_length": full_size,
        "attention.key_length_swa": size,
        "attention.value_length_swa": size,
        "rope.dimension_count": full_size,
        "rope.dimension_count_swa": size,
    }
    if config.flag("use_double_wide_mlp"):
        narrow, owning = config.count("intermediate_size"), config.layers() - shared
        metadata["feed_forward_length"] = [narrow] * owning + [narrow * 2] * shared
    kv_heads = _full_layers(config, "num_key_value_heads", "num_global_key_value_heads")
    if kv_heads is not None:
        metadata["attention.head_count_kv"] = [config.kv_heads() if it else kv_heads for it in sliding]
    return metadata


def _tokenizer(checkpoint: Checkpoint) -> dict[str, HeaderValue]:
    metadata = byte_fallback_metadata(checkpoint.folder, "gemma4", with_merges=True)
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    for number, text in enumerate(tokens):  # type: ignore[arg-type]
        if text in _VISIBLE:
            kinds[number] = _USER_DEFINED  # type: ignore[index]
    return {**metadata, "tokenizer.ggml.add_space_prefix": False, "tokenizer.ggml.add_bos_token": True}


GEMMA4 = Family(
    ("Gemma4ForConditionalGeneration", "Gemma4ForCausalLM"),
    "gemma4",
    _targets,
    _metadata,
    _tokenizer,
    defaults={
        **DEFAULTS,
        "vocab_size": 262144,
        "num_hidden_layers": 30,
        "sliding_window": 512,
        "num_kv_shared_layers": 0,
        "vocab_size_per_layer_input": 262144,
        "hidden_size_per_layer_input": 256,
        "rope_parameters": {
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    },
    ignored=NOT_TEXT,
)
FAMILIES = (GEMMA4,)
