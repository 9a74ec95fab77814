"""Hugging Face checkpoints of a few kilobytes, made with numpy alone."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.header import GgufHeader

TOKENS = 320
WIDTH, FEED_FORWARD, LAYERS, HEADS, KV_HEADS = 64, 96, 2, 4, 2
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SMOLLM_WORDS = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = (("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"))

Stored = tuple[str, NDArray[Any]]  # safetensors' type, and the numbers as they lie in the file


def stored(numbers: NDArray[np.float32], dtype: str = "BF16") -> Stored:
    if dtype == "BF16":
        return dtype, (numbers.view("<u4") >> 16).astype("<u2")
    return dtype, numbers.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}[dtype])


def safetensors_bytes(tensors: Mapping[str, Stored]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at, data = 0, []
    for name, (dtype, numbers) in tensors.items():
        size = numbers.nbytes
        header[name] = {"dtype": dtype, "shape": list(numbers.shape), "data_offsets": [at, at + size]}
        data.append(numbers.tobytes())
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def write_zeros(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """A file of F32 zeros that takes no room on the disk. Returns the bytes it seems to have."""
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with path.open("wb") as handle:
        handle.write(struct.pack("<Q", len(text)) + text)
        handle.truncate(8 + len(text) + at)
    return at


def llama_config(**changes: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "vocab_size": TOKENS,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **changes,
    }


def llama_shapes(tokens: int = TOKENS, width: int = WIDTH) -> dict[str, tuple[int, ...]]:
    """Every tensor of llama_config()'s model; a wider one has heads of the same size."""
    head_size = WIDTH // HEADS
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (tokens, width)}
    for layer in range(LAYERS):
        start = f"model.layers.{layer}"
        shapes |= {
            f"{start}.input_layernorm.weight": (width,),
            f"{start}.post_attention_layernorm.weight": (width,),
            f"{start}.self_attn.q_proj.weight": (HEADS * head_size, width),
            f"{start}.self_attn.k_proj.weight": (KV_HEADS * head_size, width),
            f"{start}.self_attn.v_proj.weight": (KV_HEADS * head_size, width),
            f"{start}.self_attn.o_proj.weight": (width, HEADS * head_size),
            f"{start}.mlp.gate_proj.weight": (FEED_FORWARD, width),
            f"{start}.mlp.up_proj.weight": (FEED_FORWARD, width),
            f"{start}.mlp.down_proj.weight": (width, FEED_FORWARD),
        }
    return {**shapes, "model.norm.weight": (width,)}


def random_tensors(shapes: Mapping[str, tuple[int, ...]], dtype: str = "BF16") -> dict[str, Stored]:
    rng = np.random.default_rng(5)
    tensors = {}
    for name, shape in shapes.items():
        numbers = rng.standard_normal(shape, np.float32) * np.float32(0.1)
        tensors[name] = stored(numbers + np.float32(len(shape) == 1), dtype)
    return tensors


def write_llama(folder: Path, shards: int = 1, dtype: str = "BF16", **config: Any) -> Path:
    """A Llama with a byte-level tokenizer, in as many files as asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(llama_config(**config)))
    write_tensors(folder, random_tensors(llama_shapes(), dtype), shards)
    write_byte_level_tokenizer(folder)
    return folder


def write_tensors(folder: Path, tensors: Mapping[str, Stored], shards: int = 1) -> None:
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors))
        return
    places = {}
    for shard in range(shards):
        name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = dict(list(tensors.items())[shard::shards])
        (folder / name).write_bytes(safetensors_bytes(part))
        places |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def byte_letters() -> list[str]:
    """How GPT-2 writes each byte: printable ones as themselves, others as letters from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (chr(256 + number) for number in range(256))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def write_byte_level_tokenizer(folder: Path, before: Mapping[str, Any] = SMOLLM_WORDS, **config: Any) -> None:
    texts = [*SPECIAL, *byte_letters(), *("".join(pair) for pair in MERGES)]
    added = [
        {"id": i, "content": text, "special": True, "normalized": False} for i, text in enumerate(SPECIAL)
    ]
    content = {
        "added_tokens": [*added, {"id": TOKENS - 2, "content": "<think>", "special": False}],
        "normalizer": None,
        "pre_tokenizer": before,
        "post_processor": None,
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "vocab": {text: number for number, text in enumerate(texts)},
            "merges": [list(pair) for pair in MERGES],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    settings = {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
        **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def sentencepiece_bytes(pieces: Sequence[tuple[str, float, int]]) -> bytes:
    """A tokenizer.model: (text, score, type) of each piece, and a field that a reader must pass over."""
    model = b""
    for text, score, kind in pieces:
        raw = text.encode()
        piece = b"\x0a" + _varint(len(raw)) + raw + b"\x15" + struct.pack("<f", score)
        if kind != 1:  # the default is left out, as sentencepiece does
            piece += b"\x18" + _varint(kind)
        model += b"\x0a" + _varint(len(piece)) + piece
    trainer = b"\x20" + _varint(8000)
    return model + b"\x12" + _varint(len(trainer)) + trainer


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def adapter_config(**changes: Any) -> dict[str, Any]:
    """As PEFT writes it, with some of the keys that change nothing."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "someone/Tiny-Llama",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": 6,
        "modules_to_save": None,
        "r": 4,
        "target_modules": ["q_proj", "down_proj"],
        "use_dora": False,
        "use_rslora": False,
        **changes,
    }


def adapter_shapes(*modules: str, rank: int = 4) -> dict[str, tuple[int, ...]]:
    """The two matrices of each module of llama_config()'s model, such as "layers.0.mlp.up_proj"."""
    shapes = {}
    for module in modules:
        rows, columns = llama_shapes()[f"model.{module}.weight"]
        name = f"base_model.model.model.{module}"
        shapes |= {f"{name}.lora_A.weight": (rank, columns), f"{name}.lora_B.weight": (rows, rank)}
    return shapes


def write_adapter(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32", **config: Any
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(adapter_config(**config)))
    (folder / "adapter_model.safetensors").write_bytes(safetensors_bytes(random_tensors(shapes, dtype)))
    return folder


def set_config(folder: Path, **changes: Any) -> None:
    (folder / "config.json").write_text(json.dumps(llama_config(**changes)))


def numbers_of(header: GgufHeader, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(rows, row length) dequantized by gguf-py."""
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    raw = header.path.read_bytes()[tensor.offset_bytes : tensor.offset_bytes + tensor.size_bytes]
    kind = gguf.GGMLQuantizationType(int(tensor.type))
    rows = np.frombuffer(raw, np.uint8).reshape(*reversed(tensor.shape[1:]), -1)
    return gguf.quants.dequantize(rows, kind)


def source_numbers(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    _, raw = random_tensors(llama_shapes())[name]
    return (raw.astype(np.uint32) << 16).view(np.float32)
