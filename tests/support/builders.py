"""Inputs for the tests, made on the spot.

gguf_bytes writes any GGUF file, sound or not. The tiny models are real: llama.cpp
loads them and generates, though their random weights have nothing to say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The numbers of the format, written out here: a test that took them from the
# code under test would agree with its mistakes.
UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64 = range(13)
_PACK = {
    UINT8: "B",
    INT8: "b",
    UINT16: "H",
    INT16: "h",
    UINT32: "I",
    INT32: "i",
    FLOAT32: "f",
    BOOL: "?",
    UINT64: "Q",
    INT64: "q",
    FLOAT64: "d",
}
_F32 = 0
_TOKEN_NORMAL, _TOKEN_UNKNOWN, _TOKEN_CONTROL, _TOKEN_BYTE = 1, 2, 3, 6


@dataclass(frozen=True)
class Typed:
    """A metadata value of a given type; for a list, the type of its items."""

    kind: int
    value: object


@dataclass(frozen=True)
class RawTensor:
    """A line of the tensor table that says what it likes."""

    shape: tuple[int, ...]
    kind: int
    data: bytes = b""
    offset_bytes: int | None = None  # None: where it really lies


def gguf_string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def gguf_bytes(
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, NDArray[np.float32] | RawTensor] | None = None,
    *,
    version: int = 3,
    alignment_bytes: int = 32,
) -> bytes:
    """A GGUF file. An int becomes UINT32, a float FLOAT32, a list INT32, FLOAT32 or STRING."""
    metadata, tensors = metadata or {}, tensors or {}
    keys = b"".join(gguf_string(key) + _value(value) for key, value in metadata.items())
    table, data = _tensor_table(tensors, alignment_bytes)
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata)) + keys + table
    return header + bytes(-len(header) % alignment_bytes) + data if tensors else header


def _value(value: object) -> bytes:
    typed = value if isinstance(value, Typed) else Typed(_kind(value), value)
    if isinstance(typed.value, (list, tuple)):
        items = b"".join(_item(typed.kind, item) for item in typed.value)
        return struct.pack("<IIQ", ARRAY, typed.kind, len(typed.value)) + items
    return struct.pack("<I", typed.kind) + _item(typed.kind, typed.value)


def _kind(value: object) -> int:
    if isinstance(value, (list, tuple)):
        return INT32 if isinstance(value[0], int) and not isinstance(value[0], bool) else _kind(value[0])
    kinds = {bool: BOOL, int: UINT32, float: FLOAT32, str: STRING, bytes: STRING}
    return kinds[type(value)]


def _item(kind: int, item: object) -> bytes:
    if kind == STRING:
        assert isinstance(item, (str, bytes))
        return gguf_string(item)
    return struct.pack("<" + _PACK[kind], item)


def _tensor_table(
    tensors: Mapping[str, NDArray[np.float32] | RawTensor], alignment_bytes: int
) -> tuple[bytes, bytes]:
    table = data = b""
    for name, tensor in tensors.items():
        if not isinstance(tensor, RawTensor):
            tensor = RawTensor(tensor.shape[::-1], _F32, tensor.astype("<f4").tobytes())
        offset_bytes = len(data) if tensor.offset_bytes is None else tensor.offset_bytes
        table += gguf_string(name) + struct.pack("<I", len(tensor.shape))
        table += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        table += struct.pack("<IQ", tensor.kind, offset_bytes)
        data += tensor.data + bytes(-len(tensor.data) % alignment_bytes)
    return table, data


def spm_vocabulary(specials: tuple[str, ...], size: int = 300) -> dict[str, object]:
    """A SentencePiece tokenizer: `specials` (one of them <unk>), all 256 bytes, then letters and pairs."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["▁", *letters, *(f"▁{letter}" for letter in letters), *".,!?'0123456789"]
    tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces][:size]
    tokens += [f"<unused{number}>" for number in range(size - len(tokens))]
    kinds = [_TOKEN_UNKNOWN if text == "<unk>" else _TOKEN_CONTROL for text in specials]
    kinds += [_TOKEN_BYTE] * 256
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(index) for index in range(size)],
        "tokenizer.ggml.token_type": kinds + [_TOKEN_NORMAL] * (size - len(kinds)),
        "tokenizer.ggml.unknown_token_id": specials.index("<unk>"),
    }


def tiny_llama_gguf(
    *,
    chat_template: str | None = None,
    seed: int = 0,
    changes: Mapping[str, object] | None = None,
    tensors: Mapping[str, NDArray[np.float32]] | None = None,
) -> bytes:
    """A llama of 2 layers, hidden 32, 4 heads, FFN 64, 300 tokens: 0.1 MB, F32.

    `changes` replaces metadata keys, adds them, or (None) leaves them out; `tensors` are
    its weights instead of tiny_llama_tensors(seed).
    """
    metadata = {
        "general.architecture": "llama",
        "general.name": "tiny llama",
        **hyperparameters("llama", {"attention.head_count_kv": 2, "rope.dimension_count": 8}),
        **spm_vocabulary(("<unk>", "<s>", "</s>")),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": chat_template,
        **(changes or {}),
    }
    return gguf_bytes(_without_none(metadata), tiny_llama_tensors(seed) if tensors is None else tensors)


def tiny_llama_tensors(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    return _tiny_tensors(seed, kv_width=16)


def tiny_gemma3_gguf(
    *, chat_template: str | None = None, seed: int = 0, changes: Mapping[str, object] | None = None
) -> bytes:
    """A Gemma 3 of 2 layers, hidden 32, 4 heads of 8, FFN 64, 300 tokens, window 16."""
    extra = {
        "attention.head_count_kv": 1,
        "attention.key_length": 8,
        "attention.value_length": 8,
        "attention.sliding_window": 16,
        "attention.sliding_window_pattern": 2,
        "rope.freq_base": 1_000_000.0,
    }
    metadata = {
        "general.architecture": "gemma3",
        "general.name": "tiny gemma",
        **hyperparameters("gemma3", extra),
        **spm_vocabulary(("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")),
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.chat_template": chat_template,
        **(changes or {}),
    }
    tensors = _tiny_tensors(seed, kv_width=8)
    for layer in range(2):
        for name, width in (("attn_q", 8), ("attn_k", 8), ("post_attention", 32), ("post_ffw", 32)):
            tensors[f"blk.{layer}.{name}_norm.weight"] = np.ones(width, np.float32)
    return gguf_bytes(_without_none(metadata), tensors)


def hyperparameters(architecture: str, extra: Mapping[str, object]) -> dict[str, object]:
    values: dict[str, object] = {
        "block_count": 2,
        "context_length": 256,
        "embedding_length": 32,
        "feed_forward_length": 64,
        "attention.head_count": 4,
        "attention.layer_norm_rms_epsilon": 1e-6,
        **extra,
    }
    return {f"{architecture}.{key}": value for key, value in values.items()}


def _tiny_tensors(seed: int, kv_width: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)

    def weight(rows: int, columns: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.1, (rows, columns)).astype(np.float32)

    tensors = {"token_embd.weight": weight(300, 32), "output_norm.weight": np.ones(32, np.float32)}
    for layer in range(2):
        block = {
            "attn_norm": np.ones(32, np.float32),
            "attn_q": weight(32, 32),
            "attn_k": weight(kv_width, 32),
            "attn_v": weight(kv_width, 32),
            "attn_output": weight(32, 32),
            "ffn_norm": np.ones(32, np.float32),
            "ffn_gate": weight(64, 32),
            "ffn_up": weight(64, 32),
            "ffn_down": weight(32, 64),
        }
        tensors.update({f"blk.{layer}.{name}.weight": value for name, value in block.items()})
    return tensors


def _without_none(metadata: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in metadata.items() if value is not None}
