"""A checkpoint of the shape of google/gemma-3n-E2B-it's language part, in BF16: 9 GB of random weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from edge_tools.convert import FAMILIES
from edge_tools.convert.source.config import read_config
from edge_tools.synth.blocks import RandomBlocks

from edge_runtime.gguf.types import GgmlType

from .gemma_tokenizer import write_tokenizer
from .models import model_path

_SHARD_BYTES = 3_000_000_000  # Hugging Face's are of this size
_ARCHITECTURE = "Gemma3nForConditionalGeneration"
_PREFIX = "model.language_model."  # of a model that also sees and hears


def make_checkpoint(folder: Path, scale: float) -> int:
    """Returns the bytes of its weights. `scale` 0.1 is a tenth of the layers and of the vocabulary."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(_config(scale), indent=1))
    write_tokenizer(model_path("gemma-3-270m"), folder)
    places: dict[str, str] = {}
    shards = list(_shards(_shapes(folder)))
    blocks = RandomBlocks(0)
    for number, shapes in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_shard(folder / name, shapes, blocks)
        places |= dict.fromkeys(shapes, name)
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    index = {"metadata": {"total_size": size_bytes}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return size_bytes


def needed_bytes(scale: float) -> int:
    """Of the weights, roughly, and rather too many than too few."""
    return int(9.2e9 * max(scale, 0.05))


def _config(scale: float) -> dict[str, Any]:
    """Source: config.json of google/gemma-3n-E2B-it, text_config."""
    layers = max(5, round(30 * scale))
    types = (["sliding_attention"] * 4 + ["full_attention"]) * 6
    text = {
        "activation_sparsity_pattern": ([0.95] * 10 + [0.0] * 20)[:layers],
        "altup_active_idx": 0,
        "altup_num_inputs": 4,
        "final_logit_softcapping": 30.0,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 2048,
        "hidden_size_per_layer_input": 256,
        "intermediate_size": [8192] * layers,
        "laurel_rank": 64,
        "layer_types": types[:layers],
        "max_position_embeddings": 32768,
        "model_type": "gemma3n_text",
        "num_attention_heads": 8,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "num_kv_shared_layers": layers // 3,
        "rms_norm_eps": 1e-6,
        "rope_local_base_freq": 10000.0,
        "rope_theta": 1000000.0,
        "sliding_window": 512,
        "vocab_size": round(262144 * scale) + 256,
        "vocab_size_per_layer_input": round(262144 * scale),
    }
    return {"architectures": [_ARCHITECTURE], "model_type": "gemma3n", "text_config": text}


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of all tensors, by their names, as `convert` expects them."""
    family = FAMILIES[_ARCHITECTURE]
    targets = family.targets(read_config(folder).with_defaults(family.defaults))
    needed = ((source, target) for target in targets if not target.optional for source in target.sources)
    return {f"{_PREFIX}{source.removeprefix('model.')}": target.shape for source, target in needed}


def _shards(shapes: dict[str, tuple[int, ...]]) -> Iterator[dict[str, tuple[int, ...]]]:
    """In the order of the names; a tensor that is larger than a shard has one of its own."""
    shard: dict[str, tuple[int, ...]] = {}
    for name in sorted(shapes):
        if shard and _size_bytes({**shard, name: shapes[name]}) > _SHARD_BYTES:
            yield shard
            shard = {}
        shard[name] = shapes[name]
    yield shard


def _size_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    return 2 * sum(map(prod, shapes.values()))


def _write_shard(path: Path, shapes: dict[str, tuple[int, ...]], blocks: RandomBlocks) -> None:
    """Format: https://huggingface.co/docs/safetensors"""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * prod(shape)]}
        at += 2 * prod(shape)
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            for piece in blocks.stream(GgmlType.BF16, 2 * prod(shape)):
                file.write(piece)
