"""Parts that most families share: tensors of a layer, hyperparameters under GGUF's names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.json_file import read_object_if_there
from ..source.source_error import damaged
from ..source.target import Change, Target, copied, in_layer

_POOLINGS = {"mean": 1, "cls": 2, "lasttoken": 3}  # llama.cpp include/llama.h, llama_pooling_type


def embedding(config: Config) -> Target:
    width = config.count("hidden_size")
    return copied("model.embed_tokens.weight", "token_embd.weight", config.count("vocab_size"), width)


def ends(config: Config) -> Iterator[Target]:
    """The embedding, the last norm and, where it is not the embedding, the output matrix."""
    width, tokens = config.count("hidden_size"), config.count("vocab_size")
    yield embedding(config)
    yield copied("model.norm.weight", "output_norm.weight", width)
    output = copied("lm_head.weight", "output.weight", tokens, width)
    only_hidden = str(config.get("architectures")).endswith("Model']")  # a model without a head
    yield replace(output, optional=only_hidden or config.get("tie_word_embeddings") is not False)


def layers(config: Config, layer: Iterator[Target] | list[Target]) -> Iterator[Target]:
    """The same tensors for each layer."""
    targets = list(layer)
    for number in range(config.layers()):
        yield from in_layer(number, targets)


def norm(source: str, name: str, size: int) -> Target:
    return copied(f"{source}.weight", f"{name}.weight", size)


def attention(config: Config, head_size: int | None = None) -> Iterator[Target]:
    """Queries, keys, values and the output of a layer, and biases where there are some."""
    head_size = head_size or config.head_size()
    width = config.count("hidden_size")
    queries, keys = config.count("num_attention_heads") * head_size, config.kv_heads() * head_size
    for letter, rows in (("q", queries), ("k", keys), ("v", keys)):
        yield copied(f"self_attn.{letter}_proj.weight", f"attn_{letter}.weight", rows, width)
        bias = copied(f"self_attn.{letter}_proj.bias", f"attn_{letter}.bias", rows)
        yield replace(bias, optional=True)
    yield copied("self_attn.o_proj.weight", "attn_output.weight", width, queries)
    yield replace(copied("self_attn.o_proj.bias", "attn_output.bias", width), optional=True)


def feed_forward(config: Config, size: int | None = None) -> Iterator[Target]:
    size, width = size or config.count("intermediate_size"), config.count("hidden_size")
    yield copied("mlp.gate_proj.weight", "ffn_gate.weight", size, width)
    yield copied("mlp.up_proj.weight", "ffn_up.weight", size, width)
    yield copied("mlp.down_proj.weight", "ffn_down.weight", width, size)


def query_and_key_norms(head_size: int) -> Iterator[Target]:
    yield norm("self_attn.q_norm", "attn_q_norm", head_size)
    yield norm("self_attn.k_norm", "attn_k_norm", head_size)


def two_norms(config: Config) -> Iterator[Target]:
    """Before attention and before the feed-forward part."""
    width = config.count("hidden_size")
    yield norm("input_layernorm", "attn_norm", width)
    yield norm("post_attention_layernorm", "ffn_norm", width)


def four_norms(config: Config) -> Iterator[Target]:
    """Before and after each part, as Gemma has them."""
    width = config.count("hidden_size")
    yield norm("input_layernorm", "attn_norm", width)
    yield norm("post_attention_layernorm", "post_attention_norm", width)
    yield norm("pre_feedforward_layernorm", "ffn_norm", width)
    yield norm("post_feedforward_layernorm", "post_ffw_norm", width)


def from_one(targets: Iterator[Target]) -> Iterator[Target]:
    """Gemma's norms: a checkpoint holds how much each weight is above 1."""
    for target in targets:
        is_norm = target.name.endswith("norm.weight")
        yield replace(target, change=Change.ADD_ONE) if is_norm else target


def standard_metadata(config: Config) -> dict[str, HeaderValue]:
    """The hyperparameters that nearly all have."""
    metadata: dict[str, HeaderValue] = {
        "block_count": config.layers(),
        "context_length": config.count("max_position_embeddings"),
        "embedding_length": config.count("hidden_size"),
        "attention.head_count": config.count("num_attention_heads"),
        "attention.head_count_kv": config.kv_heads(),
        "attention.layer_norm_rms_epsilon": config.fraction("rms_norm_eps"),
    }
    if isinstance(config.get("intermediate_size"), int):
        metadata["feed_forward_length"] = config.count("intermediate_size")
    if "head_dim" in config:
        metadata |= {"attention.key_length": config.head_size(), "attention.value_length": config.head_size()}
    return metadata | rope_metadata(config)


def rope(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rotation of the layers that see everything, and of those with a window ({} where none has one).

    New configs say it in rope_parameters; older ones in rope_theta, rope_local_base_freq and rope_scaling.
    """
    said = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(said, dict):
        raise config.invalid("rope_parameters", "an object", said)
    if "full_attention" in said or "sliding_attention" in said:
        return _object(said.get("full_attention")), _object(said.get("sliding_attention"))
    full = dict(said)
    full.setdefault("rope_theta", config.get("rope_theta"))
    full.setdefault("rope_type", said.get("type", "default"))
    local = config.get("rope_local_base_freq")
    return full, {} if local is None else {"rope_theta": local}


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def rope_metadata(config: Config) -> dict[str, HeaderValue]:
    full, sliding = rope(config)
    metadata: dict[str, HeaderValue] = {}
    if full.get("rope_theta") is not None:
        metadata["rope.freq_base"] = rope_number(config, full, "rope_theta")
    if sliding.get("rope_theta") is not None:
        metadata["rope.freq_base_swa"] = rope_number(config, sliding, "rope_theta")
    return metadata | _scaling_metadata(config, full)


def rope_number(config: Config, rotation: dict[str, Any], key: str, default: float | None = None) -> float:
    return config.checked_fraction(f"rope_parameters.{key}", rotation.get(key, default))


def rope_count(config: Config, rotation: dict[str, Any], key: str) -> int:
    """A whole number above 0 that may stand in config.json itself."""
    value = rotation.get(key)
    return (config if value is None else config.with_value(key, value)).count(key)


def _scaling_metadata(config: Config, full: dict[str, Any]) -> dict[str, HeaderValue]:
    kind = str(full.get("rope_type") or "default").lower()
    if kind in ("default", "llama3", "proportional"):  # the last two are tensors: see the families
        return {}
    if kind in ("su", "longrope"):
        return {"rope.scaling.type": "longrope"}
    if kind not in ("linear", "yarn"):
        raise config.invalid("rope_parameters.rope_type", "default, linear, yarn, longrope or llama3", kind)
    metadata: dict[str, HeaderValue] = {
        "rope.scaling.type": kind,
        "rope.scaling.factor": rope_number(config, full, "factor"),
    }
    return metadata | (_yarn_metadata(config, full) if kind == "yarn" else {})


def _yarn_metadata(config: Config, full: dict[str, Any]) -> dict[str, HeaderValue]:
    original = rope_count(config, full, "original_max_position_embeddings")
    metadata: dict[str, HeaderValue] = {"rope.scaling.original_context_length": original}
    names = {
        "extrapolation_factor": "yarn_ext_factor",
        "attn_factor": "yarn_attn_factor",
        "attention_factor": "yarn_attn_factor",
        "beta_fast": "yarn_beta_fast",
        "beta_slow": "yarn_beta_slow",
    }
    for key, name in names.items():
        if full.get(key) is not None:
            metadata[f"rope.scaling.{name}"] = rope_number(config, full, key)
    return metadata


def pooling_metadata(checkpoint: Checkpoint) -> dict[str, HeaderValue]:
    """How an embedding model makes one vector of all tokens', as sentence-transformers' files say."""
    modules = checkpoint.folder / "modules.json"
    if not modules.is_file():
        return {}
    try:
        listed = json.loads(modules.read_bytes()[: 1 << 20])
        folder = next((m["path"] for m in listed if str(m["type"]).endswith("Pooling")), None)
    except (ValueError, TypeError, KeyError) as error:
        raise damaged(modules, f"is not sentence-transformers' list of modules: {error}") from error
    if folder is None:
        return {}
    if "/" in str(folder) or "\\" in str(folder) or str(folder).startswith("."):
        raise damaged(modules, f"names the folder {str(folder)[:80]!r}; only one beside it can be read")
    said = read_object_if_there(checkpoint.folder / str(folder) / "config.json")
    for name, number in _POOLINGS.items():
        flag = {"mean": "mean_tokens", "cls": "cls_token"}.get(name, name)
        if said.get(f"pooling_mode_{flag}") or said.get("pooling_mode") == name:
            return {"pooling_type": number}
    raise damaged(modules, "asks for a pooling that is not mean, cls or last token")
