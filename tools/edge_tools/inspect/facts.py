"""Key figures of a model: parameters, layers, heads, context."""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.hyperparameters import numbers

from ..tensor_data import element_count

# Fact -> hyperparameter. One that is absent in the file is left out.
_HYPERPARAMETERS: Mapping[str, str] = {
    "layers": "block_count",
    "width": "embedding_length",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "head_size": "attention.key_length",
    "feed_forward": "feed_forward_length",
    "context_tokens": "context_length",
    "window_tokens": "attention.sliding_window",
    "shared_kv_layers": "attention.shared_kv_layers",
    "ple_width": "embedding_length_per_layer_input",
    "experts": "expert_count",
    "experts_used": "expert_used_count",
}
_TEXTS = {
    "name": "general.name",
    "licence": "general.license",
    "tokenizer": "tokenizer.ggml.model",
    "pre_tokenizer": "tokenizer.ggml.pre",
}

Fact = int | float | str


def architecture_facts(header: GgufHeader) -> dict[str, Fact]:
    """By name, in the order to show them. A value for each layer becomes "least-most"."""
    facts: dict[str, Fact] = {"architecture": header.architecture or "unknown"}
    facts["parameters"] = sum(map(element_count, header.tensors))
    for name, key in _HYPERPARAMETERS.items():
        fact = _number(header, key)
        if fact is not None:
            facts[name] = fact
    if header.vocabulary_size:
        facts["vocabulary_tokens"] = header.vocabulary_size
    for name, key in _TEXTS.items():
        value = header.metadata.get(key)
        if isinstance(value, str):
            facts[name] = value
    return facts


def _number(header: GgufHeader, key: str) -> Fact | None:
    """None for one that is absent, or damaged: check_header() says in which way."""
    try:
        found = numbers(header, key)
    except ModelFileInvalid:
        return None
    if not found:
        return None
    least, most = min(found), max(found)
    return least if least == most else f"{least}-{most}"
