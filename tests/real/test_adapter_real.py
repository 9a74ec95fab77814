"""An adapter in the real engine: beside its model it answers as the model does with merged weights."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_tools.convert import ADAPTER_TYPES, convert, convert_adapter
from support.tiny_checkpoint import (
    LAYERS,
    TOKENS,
    WIDTH,
    Stored,
    adapter_shapes,
    llama_shapes,
    random_tensors,
    set_config,
    stored,
    write_adapter,
    write_llama,
    write_tensors,
)

from edge_runtime.backends.backend import Float32Array
from scripts.reference.answers import logits_after

PROMPT = [1, 40, 263, 90, 2, 17]
ALPHA = 6
PARTS = [f"self_attn.{letter}_proj" for letter in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")]
MODULES = [f"layers.{layer}.{part}" for layer in range(LAYERS) for part in PARTS]
# Largest distance of two logits; their standard deviation is about 0.8.
TOLERANCES = {"f32": 2e-3, "f16": 5e-3, "bf16": 0.05}


def logits(model: Path, adapter: Path | None = None) -> Float32Array:
    """(TOKENS,)"""
    return logits_after(model, PROMPT, adapter)


def merged(weights: Mapping[str, Stored], adapter: Mapping[str, Stored], scales: Mapping[str, float]) -> Any:
    """W + scale * B A for each weight that has an adapter, as PEFT merges it."""
    result = dict(weights)
    for name, scale in scales.items():
        start = f"base_model.model.{name}"
        (_, a), (_, b) = (adapter[f"{start}.lora_{side}.weight"] for side in "AB")
        result[f"{name}.weight"] = stored(weights[f"{name}.weight"][1] + np.float32(scale) * (b @ a), "F32")
    return result


@pytest.mark.parametrize("kind", ADAPTER_TYPES)
def test_an_adapter_answers_as_merged_weights_do(kind: str, tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "tiny", dtype="F32")
    model = convert(folder, tmp_path / "model.gguf", "f32").path
    shapes = adapter_shapes(*MODULES)
    adapter = write_adapter(tmp_path / "adapter", shapes, lora_alpha=ALPHA)
    path = convert_adapter(adapter, tmp_path / "adapter.gguf", kind, base=folder).path

    scales = {f"model.{module}": ALPHA / 4 for module in MODULES}
    both = merged(random_tensors(llama_shapes(), "F32"), random_tensors(shapes, "F32"), scales)
    write_tensors(folder, both)
    expected = logits(convert(folder, tmp_path / "merged.gguf", "f32").path)
    assert np.abs(logits(model, path) - expected).max() < TOLERANCES[kind]
    assert np.abs(logits(model) - expected).max() > 0.5  # the adapter does change the answer


def test_stabilized_ranks_of_two_sizes_answer_as_merged_weights_do(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "tiny", dtype="F32")
    model = convert(folder, tmp_path / "model.gguf", "f32").path
    ranks = {module: 9 if "o_proj" in module else 4 for module in MODULES}
    shapes = {
        key: shape
        for module, rank in ranks.items()
        for key, shape in adapter_shapes(module, rank=rank).items()
    }
    adapter = write_adapter(tmp_path / "adapter", shapes, lora_alpha=2, use_rslora=True)
    path = convert_adapter(adapter, tmp_path / "adapter.gguf", base=folder).path

    scales = {f"model.{module}": 2 / sqrt(rank) for module, rank in ranks.items()}
    write_tensors(
        folder, merged(random_tensors(llama_shapes(), "F32"), random_tensors(shapes, "F32"), scales)
    )
    expected = logits(convert(folder, tmp_path / "merged.gguf", "f32").path)
    assert np.abs(logits(model, path) - expected).max() < TOLERANCES["f32"]


def test_an_untied_embedding_and_output_answer_as_merged_weights_do(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "tiny", dtype="F32")
    set_config(folder, tie_word_embeddings=False)
    weights = random_tensors({**llama_shapes(), "lm_head.weight": (TOKENS, WIDTH)}, "F32")
    write_tensors(folder, weights)
    model = convert(folder, tmp_path / "model.gguf", "f32").path
    name = "base_model.model.model.embed_tokens.lora_embedding"
    shapes = {f"{name}_A": (4, TOKENS), f"{name}_B": (WIDTH, 4)}
    head = "base_model.model.lm_head.lora"
    shapes |= {f"{head}_A.weight": (4, WIDTH), f"{head}_B.weight": (TOKENS, 4)}
    adapter = write_adapter(tmp_path / "adapter", shapes, lora_alpha=ALPHA)
    path = convert_adapter(adapter, tmp_path / "adapter.gguf", base=folder).path

    numbers = {key: values for key, (_, values) in random_tensors(shapes, "F32").items()}
    both = dict(weights)
    for weight, change in (
        ("model.embed_tokens.weight", (numbers[f"{name}_B"] @ numbers[f"{name}_A"]).T),
        ("lm_head.weight", numbers[f"{head}_B.weight"] @ numbers[f"{head}_A.weight"]),
    ):
        both[weight] = stored(weights[weight][1] + np.float32(ALPHA / 4) * change, "F32")
    write_tensors(folder, both)
    expected = logits(convert(folder, tmp_path / "merged.gguf", "f32").path)
    assert np.abs(logits(model, path) - expected).max() < TOLERANCES["f32"]
