"""Tiny random checkpoints: one for every family, and for what a checkpoint of it may do otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VOCABULARY_TOKENS = 512
SMALL = {
    "vocab_size": VOCABULARY_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


@dataclass(frozen=True)
class Case:
    """One checkpoint: which class of transformers, with which values, and which tokenizer."""

    model_type: str
    values: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = "sentencepiece"
    pre_tokenizer: str = ""  # llama.cpp's name, which it cannot find by hash for a made-up vocabulary
    shard_bytes: int = 0
    dtype: str = "bfloat16"
    changes: dict[str, Any] = field(default_factory=dict)  # of the config file, once written; None removes
    shared_keys: bool = False  # with the keys and values that newer checkpoints leave out

    @property
    def has_pictures(self) -> bool:
        return "vision_config" in self.values

    @property
    def is_embedding(self) -> bool:
        return "use_bidirectional_attention" in self.values


_LAYERS = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
_GEMMA_HEADS = {
    "query_pre_attn_scalar": 32,  # llama.cpp takes the size of a head
    "head_dim": 32,
    "sliding_window": 16,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
# llama.cpp knows one Gemma 3n: 20 layers with keys and values, the first 10 of all layers sparse.
_GEMMA3N = {
    **_GEMMA_HEADS,
    "num_hidden_layers": 22,
    "num_kv_shared_layers": 2,
    "layer_types": ((["sliding_attention"] * 4 + ["full_attention"]) * 5)[:22],
    "intermediate_size": [160] * 22,
    "activation_sparsity_pattern": [0.95] * 10 + [0.0] * 12,
    "hidden_size_per_layer_input": 256,
    "vocab_size_per_layer_input": 480,
    "laurel_rank": 64,
}
CASES = {
    "llama": Case("llama", {"tie_word_embeddings": False}),
    "llama-f16": Case("llama", {"tie_word_embeddings": True}, dtype="float16", shard_bytes=60_000),
    "llama-f32": Case("llama", {"tie_word_embeddings": True, "attention_bias": True}, dtype="float32"),
    "smollm2": Case("llama", {"tie_word_embeddings": True}, "bpe-smollm", "smollm", shard_bytes=90_000),
    "llama3": Case(
        "llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
        "bpe-llama3",
        "llama-bpe",
    ),
    "mistral": Case("mistral", {"head_dim": 32, "sliding_window": None, "tie_word_embeddings": False}),
    "qwen2": Case("qwen2", {"intermediate_size": 112, "tie_word_embeddings": True}, "bpe-qwen2", "qwen2"),
    "qwen3": Case("qwen3", {"head_dim": 32, "tie_word_embeddings": False}, "bpe-qwen2", "qwen2"),
    "phi3": Case("phi3", {"sliding_window": 128, "tie_word_embeddings": False}, "sentencepiece-phi3"),
    "gemma2": Case("gemma2", _GEMMA_HEADS, "sentencepiece-gemma"),
    "gemma3": Case("gemma3_text", {**_GEMMA_HEADS, "num_hidden_layers": 7}, "sentencepiece-gemma"),
    "gemma3n": Case("gemma3n_text", _GEMMA3N, "sentencepiece-gemma"),
    "gemma4": Case(
        "gemma4_text",
        {
            **_GEMMA_HEADS,
            "num_hidden_layers": 5,
            "num_kv_shared_layers": 2,
            "layer_types": _LAYERS,
            "hidden_size_per_layer_input": 32,
            "vocab_size_per_layer_input": VOCABULARY_TOKENS,
            "global_head_dim": 64,
            "use_double_wide_mlp": True,
        },
        "bpe-gemma4",
    ),
    "gemma3-old": Case(
        "gemma3_text",
        _GEMMA_HEADS,
        "sentencepiece-gemma",
        changes={
            "rope_parameters": None,
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "rms_norm_eps": None,
        },
    ),
    "gemma3-pictures": Case(
        "gemma3",
        {
            "text_config": {**SMALL, **_GEMMA_HEADS, "model_type": "gemma3_text"},
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": 28,
                "patch_size": 14,
            },
            "mm_tokens_per_image": 4,
            "boi_token_index": 5,
            "eoi_token_index": 6,
            "image_token_index": 8,
        },
        "sentencepiece-gemma",
    ),
    "gemma3n-full": Case("gemma3n_text", _GEMMA3N, "sentencepiece-gemma", shared_keys=True),
    "llama-old": Case(
        "llama",
        {"tie_word_embeddings": False},
        changes={"rope_parameters": None, "rope_theta": 20000.0, "head_dim": None, "rms_norm_eps": None},
    ),
    "llama-json": Case("llama", {"tie_word_embeddings": True}, "bpe-llama2"),
    # Below the original context both take the short factors; llama.cpp makes no context below 256 tokens.
    "phi3-long": Case(
        "phi3",
        {
            "max_position_embeddings": 1024,
            "original_max_position_embeddings": 512,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 512,
                "short_factor": [1.0 + n / 8 for n in range(8)],
                "long_factor": [2.0 + n for n in range(8)],
            },
        },
        "sentencepiece-phi3",
    ),
    "embedding-gemma": Case(
        "gemma3_text",
        {**_GEMMA_HEADS, "num_hidden_layers": 7, "use_bidirectional_attention": True},
        "sentencepiece-gemma",
    ),
}
