"""Gemma 3n, the language part: AltUp, LAuReL, per-layer embeddings, caches that layers share.

Source: llama.cpp conversion/gemma.py, Gemma3NModel; src/models/gemma3n.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from edge_runtime.gguf.layer_patterns import SHARED_LAYERS, SLIDING_PERIODS, WINDOW_PATTERN, periodic
from edge_runtime.gguf.writing import HeaderValue

from ..source.config import Config
from ..source.target import Target, copied
from .family import Family
from .gemma import DEFAULTS, NOT_TEXT, gemma3_metadata, gemma_tokenizer
from .parts import attention, ends, feed_forward, four_norms, layers, norm, query_and_key_norms

_STREAMS = 4  # altup_num_inputs
_KNOWN = {
    "altup_num_inputs": _STREAMS,
    "laurel_rank": 64,
    "hidden_size_per_layer_input": 256,
}  # llama.cpp knows no other numbers
_SHARED = ("attn_k.", "attn_v.", "attn_k_norm.")


def _targets(config: Config) -> Iterator[Target]:
    for key, known in _KNOWN.items():
        if config.count(key) != known:
            raise config.invalid(key, f"{known}, the only number llama.cpp knows", config.get(key))
    tokens, width = config.count("vocab_size"), config.count("hidden_size")
    stored_tokens = config.count("vocab_size_per_layer_input")
    ple = config.layers() * config.count("hidden_size_per_layer_input")
    yield from ends(config)
    # Tokens of pictures and sound come last, and have no row here: zeros.
    rows = copied("model.embed_tokens_per_layer.weight", "per_layer_token_embd.weight", stored_tokens, ple)
    yield replace(rows, rows=tokens)
    yield copied("model.per_layer_model_projection.weight", "per_layer_model_proj.weight", ple, width)
    yield norm("model.per_layer_projection_norm", "per_layer_proj_norm", _ple_width(config))
    for source, name in (
        ("altup_projections", "altup_proj"),
        ("altup_unembed_projections", "altup_unembd_proj"),
    ):
        sources = tuple(f"model.{source}.{number}.weight" for number in range(_STREAMS - 1))
        yield Target(f"{name}.weight", (width, width), sources)
    yield from _layers(config)


def _layers(config: Config) -> Iterator[Target]:
    """Newer checkpoints leave out the keys and values that a layer never uses; llama.cpp wants them."""
    first_shared = config.layers() - shared_layers(config)
    for target in layers(config, _layer(config)):
        _, number, name = target.name.split(".", 2)
        shares = int(number) >= first_shared and name.startswith(_SHARED) and not name.endswith("bias")
        yield replace(target, zeros_if_missing=True) if shares else target


def _layer(config: Config) -> Iterator[Target]:
    width, ple, rank = config.count("hidden_size"), _ple_width(config), config.count("laurel_rank")
    yield from attention(config)
    yield from query_and_key_norms(config.head_size())
    yield from feed_forward(config, _feed_forward_size(config))
    yield from four_norms(config)
    yield copied("altup.correct_output_scale", "altup_correct_scale.weight", width)
    yield copied("altup.correction_coefs.weight", "altup_correct_coef.weight", _STREAMS, _STREAMS)
    yield copied("altup.prediction_coefs.weight", "altup_predict_coef.weight", _STREAMS**2, _STREAMS)
    yield copied("altup.modality_router.weight", "altup_router.weight", _STREAMS, width)
    yield norm("altup.router_norm", "altup_router_norm", width)
    yield copied("laurel.linear_left.weight", "laurel_l.weight", rank, width)
    yield copied("laurel.linear_right.weight", "laurel_r.weight", width, rank)
    yield norm("laurel.post_laurel_norm", "laurel_post_norm", width)
    yield copied("per_layer_input_gate.weight", "inp_gate.weight", ple, width)
    yield copied("per_layer_projection.weight", "proj.weight", width, ple)
    yield norm("post_per_layer_input_norm", "post_norm", width)


def _ple_width(config: Config) -> int:
    return config.count("hidden_size_per_layer_input")


def _feed_forward_size(config: Config) -> int:
    """One for all layers: llama.cpp's Gemma 3n knows no other."""
    sizes = config.get("intermediate_size")
    if isinstance(sizes, list) and len(set(map(str, sizes))) == 1 and isinstance(sizes[0], int):
        return sizes[0]
    return config.count("intermediate_size")


def _metadata(config: Config) -> dict[str, HeaderValue]:
    said = config.get("intermediate_size")
    sizes = said if isinstance(said, list) else [_feed_forward_size(config)] * config.layers()
    return {
        **gemma3_metadata(config),
        "feed_forward_length": sizes,
        "altup.active_idx": config.number("altup_active_idx"),
        "altup.num_inputs": config.count("altup_num_inputs"),
        "embedding_length_per_layer_input": _ple_width(config),
        SHARED_LAYERS: shared_layers(config),
        "activation_sparsity_scale": [_deviations(share) for share in _sparsity(config)],
        WINDOW_PATTERN: sliding_layers(config, every=SLIDING_PERIODS["gemma3n"]),
    }


def _sparsity(config: Config) -> list[float]:
    """(layers,) the share of activations that are set to zero."""
    count, said = config.layers(), config.get("activation_sparsity_pattern")
    if said is None:
        sparse = 10 if count > 10 else 0
        return [0.95] * sparse + [0.0] * (count - sparse)
    shares = said if isinstance(said, list) else [said] * count
    if len(shares) != count or not all(
        isinstance(share, (int, float)) and 0 <= share < 1 for share in shares
    ):
        raise config.invalid("activation_sparsity_pattern", f"{count} numbers from 0 to 1", said)
    return [float(share) for share in shares]


def _deviations(share: float) -> float:
    """How many standard deviations above the mean a normal variable is below with probability `share`.

    In steps of single precision, as torch's Normal.icdf computes it.
    """
    if share == 0:
        return -math.inf
    doubled = np.float32(2) * np.float32(share) - np.float32(1)
    inverse = np.float32(NormalDist().inv_cdf((float(doubled) + 1) / 2) / math.sqrt(2))
    return float(inverse * np.float32(math.sqrt(2)))


def shared_layers(config: Config) -> int:
    """How many layers use the keys and values of an earlier one: the last."""
    count = config.number("num_kv_shared_layers")
    if count >= config.layers():
        raise config.invalid("num_kv_shared_layers", f"below {config.layers()}, the number of layers", count)
    return count


def sliding_layers(config: Config, every: int) -> list[bool]:
    """(layers,) which see only a window; by default all but each `every`th."""
    kinds, count = config.get("layer_types"), config.layers()
    if kinds is None:
        return periodic(count, every)
    known = ("sliding_attention", "full_attention")
    if not isinstance(kinds, list) or len(kinds) != count or any(kind not in known for kind in kinds):
        raise config.invalid("layer_types", f"{count} times sliding_attention or full_attention", kinds)
    return [kind == known[0] for kind in kinds]


GEMMA3N = Family(
    ("Gemma3nForConditionalGeneration", "Gemma3nForCausalLM"),
    "gemma3n",
    _targets,
    _metadata,
    gemma_tokenizer,
    defaults={
        **DEFAULTS,
        "hidden_size": 2048,
        "num_hidden_layers": 35,
        "intermediate_size": 16384,
        "vocab_size": 262400,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "sliding_window": 512,
        "vocab_size_per_layer_input": 262144,
        "hidden_size_per_layer_input": 256,
        "laurel_rank": 64,
        "altup_num_inputs": 4,
        "altup_active_idx": 0,
        "num_kv_shared_layers": 15,
        "final_logit_softcapping": 30.0,
    },
    ignored=NOT_TEXT,
)
FAMILIES = (GEMMA3N,)
