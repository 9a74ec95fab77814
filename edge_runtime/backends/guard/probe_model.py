"""The model that a build of llama.cpp is tried out with: 2.5 MB, made on the spot.

A llama with one layer for each type of weights that has kernels of its own, in shapes that
repacking and AMX take: rows of whole blocks of 256 numbers, and 32 of them at a time. Its weights
are noise, but numbers of a usual size: every kernel runs, and nothing overflows.

Layouts of the blocks: llama.cpp ggml/src/ggml-common.h.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path

from ...gguf.types import GgmlType
from ...gguf.writing import HeaderValue, NewTensor, write_gguf

_WIDTH, _KV_WIDTH, _HEADS, _TOKENS = 256, 128, 4, 288
_SPECIAL_TOKENS = ("<unk>", "<s>", "</s>")
_KIND_OF_SPECIAL = (2, 3, 3)  # unknown, control; source: llama.cpp include/llama.h, enum llama_token_type
_NORMAL, _BYTE = 1, 6
# Where the half-precision scales of a block stand, and what makes weights of about 0.05 of them.
_SCALES: dict[GgmlType, tuple[tuple[int, float], ...]] = {
    GgmlType.Q4_0: ((0, 0.01),),
    GgmlType.Q8_0: ((0, 0.0007),),
    GgmlType.Q4_K: ((0, 0.0002), (2, 0.0015)),
    GgmlType.Q5_K: ((0, 0.0001), (2, 0.0015)),
    GgmlType.Q6_K: ((208, 0.00007),),
}
_LAYERS = (*_SCALES, GgmlType.F16)
_POOL_BLOCKS = 64  # different ones of each type; a matrix repeats them


def write_probe_model(path: Path) -> None:
    """The same bytes every time. Raises OSError."""
    tensors = [NewTensor(name, shape, kind, partial(_data, shape, kind)) for name, shape, kind in _tensors()]
    write_gguf(path, _metadata(), tensors, force=True, smaller="more room for temporary files")


def _tensors() -> Iterator[tuple[str, tuple[int, ...], GgmlType]]:
    yield "token_embd.weight", (_WIDTH, _TOKENS), GgmlType.Q8_0
    yield "output_norm.weight", (_WIDTH,), GgmlType.F32
    yield "output.weight", (_WIDTH, _TOKENS), GgmlType.Q6_K
    for layer, kind in enumerate(_LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", (_WIDTH,), GgmlType.F32
        for name in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            yield f"blk.{layer}.{name}.weight", (_WIDTH, _WIDTH), kind
        for name in ("attn_k", "attn_v"):
            yield f"blk.{layer}.{name}.weight", (_WIDTH, _KV_WIDTH), kind


def _data(shape: tuple[int, ...], kind: GgmlType) -> Iterator[bytes]:
    count = prod(shape) // kind.block_elements
    if kind is GgmlType.F32:  # a norm
        yield struct.pack("<f", 1.0) * count
        return
    noise = random.Random(int(kind))
    pool = b"".join(_block(noise, kind) for _ in range(_POOL_BLOCKS))
    yield (pool * (count // _POOL_BLOCKS + 1))[: count * kind.block_bytes]


def _block(noise: random.Random, kind: GgmlType) -> bytes:
    """Random bits are good numbers everywhere but in a block's scales."""
    if kind is GgmlType.F16:
        return struct.pack("<e", noise.uniform(-0.1, 0.1))
    block = bytearray(noise.randbytes(kind.block_bytes))
    for place, scale in _SCALES[kind]:
        block[place : place + 2] = struct.pack("<e", scale)
    return bytes(block)


def _metadata() -> Mapping[str, HeaderValue]:
    unused = [f"<unused{number}>" for number in range(_TOKENS - len(_SPECIAL_TOKENS) - 256)]
    tokens = [*_SPECIAL_TOKENS, *(f"<0x{byte:02X}>" for byte in range(256)), *unused]
    return {
        "general.architecture": "llama",
        "general.name": "probe",
        "llama.block_count": len(_LAYERS),
        "llama.context_length": 64,
        "llama.embedding_length": _WIDTH,
        "llama.feed_forward_length": _WIDTH,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _HEADS * _KV_WIDTH // _WIDTH,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [token.encode() for token in tokens],
        "tokenizer.ggml.scores": [-float(index) for index in range(_TOKENS)],
        "tokenizer.ggml.token_type": [*_KIND_OF_SPECIAL, *[_BYTE] * 256, *[_NORMAL] * len(unused)],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
