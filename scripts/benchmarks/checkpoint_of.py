"""A Llama's GGUF file back into the Hugging Face checkpoint it could have come from, in F16."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from edge_tools.dequantize import dequantize
from edge_tools.tensor_data import read_pieces
from numpy.typing import NDArray

from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import TensorInfo

_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # token type: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md


def write_checkpoint(model: Path, folder: Path) -> None:
    """config.json, tokenizer.json, tokenizer_config.json and model.safetensors."""
    header = read_header(model)
    folder.mkdir(parents=True)
    _write_json(folder / "config.json", _config(header))
    _write_json(folder / "tokenizer.json", tokenizer_of(header))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(header))
    _write_weights(folder / "model.safetensors", header)


def _config(header: GgufHeader) -> dict[str, Any]:
    heads = header.hyperparameter("attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": header.hyperparameter("embedding_length"),
        "intermediate_size": header.hyperparameter("feed_forward_length"),
        "num_hidden_layers": header.hyperparameter("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": header.hyperparameter("attention.head_count_kv"),
        "max_position_embeddings": header.hyperparameter("context_length"),
        "rms_norm_eps": header.hyperparameter("attention.layer_norm_rms_epsilon"),
        "rope_theta": header.hyperparameter("rope.freq_base"),
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in header.tensors),
        "vocab_size": header.vocabulary_size,
        "bos_token_id": header.metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": header.metadata["tokenizer.ggml.eos_token_id"],
    }


def tokenizer_of(header: GgufHeader) -> dict[str, Any]:
    """tokenizer.json of a vocabulary whose pre-tokenizer is SmolLM's."""
    tokens = _texts(header, "tokens")
    kinds: Any = header.metadata["tokenizer.ggml.token_type"]
    special = [index for index in range(len(tokens)) if kinds[index] == _CONTROL]
    digits = {"type": "Digits", "individual_digits": True}
    letters = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [_added_token(index, tokens[index]) for index in special],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, letters]},
        "decoder": letters,
        "model": {
            "type": "BPE",
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": _texts(header, "merges"),
        },
    }


def _added_token(number: int, text: str) -> dict[str, Any]:
    """With every key: the `tokenizers` package reads no entry without them."""
    rules = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, **rules, "special": True}


def _tokenizer_config(header: GgufHeader) -> dict[str, Any]:
    tokens = _texts(header, "tokens")
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids: Any = {key: header.metadata[f"tokenizer.ggml.{name}_token_id"] for key, name in names.items()}
    texts = {key: tokens[index] for key, index in ids.items()}
    return {**texts, "chat_template": header.metadata["tokenizer.chat_template"]}


def _texts(header: GgufHeader, name: str) -> list[str]:
    values: Any = header.metadata[f"tokenizer.ggml.{name}"]
    return [text.decode() for text in values.iter_bytes()]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _write_weights(path: Path, header: GgufHeader) -> None:
    """Format: https://huggingface.co/docs/safetensors, a table in JSON and then the numbers."""
    table: dict[str, Any] = {}
    at = 0
    for tensor in header.tensors:
        end = at + 2 * int(np.prod(tensor.shape))
        shape = list(reversed(tensor.shape))
        table[_name(tensor)] = {"dtype": "F16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(table).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in header.tensors:
            file.write(_weights(header, tensor).astype("<f2").tobytes())


def _name(tensor: TensorInfo) -> str:
    parts = tensor.name.removesuffix(".weight").split(".")
    name = f"model.layers.{parts[1]}.{_IN_LAYER[parts[2]]}" if parts[0] == "blk" else _OUTSIDE[parts[0]]
    return f"{name}.weight"


def _weights(header: GgufHeader, tensor: TensorInfo) -> NDArray[np.float32]:
    weights = np.concatenate(list(_numbers(header, tensor))).reshape(tuple(reversed(tensor.shape)))
    heads: Any = {"attn_q": "attention.head_count", "attn_k": "attention.head_count_kv"}.get(
        tensor.name.split(".")[-2]
    )
    if heads is None:
        return weights
    # ggml turns neighbours, a checkpoint the numbers half a head apart.
    count: Any = header.hyperparameter(heads)
    pairs = weights.reshape(count, -1, 2, tensor.shape[0])  # (heads, half a head, 2, columns)
    halves: NDArray[np.float32] = pairs.swapaxes(1, 2).reshape(weights.shape)
    return halves


def _numbers(header: GgufHeader, tensor: TensorInfo) -> Iterator[NDArray[np.float32]]:
    for piece in read_pieces(header, tensor):
        yield dequantize(piece, tensor.type).copy()
