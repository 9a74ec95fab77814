"""Tiny checkpoints as transformers writes them, and the tokens that it chooses with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .cases import SMALL, Case
from .greedy import write_greedy
from .tokenizer_files import TOKENIZERS

CARD = """---
license: apache-2.0
license_link: https://example.org/LICENSE
tags:
- tiny
- "random"
pipeline_tag: text-generation
language:
- en
- no
base_model: someone/Base-Model
datasets:
- someone/some-data
---

# A tiny checkpoint
"""
_GENERATION = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05, "do_sample": True}

# Attention without a scale of its own: random queries would look at one place alone, and which one that is
# would hang on the last bits of keys in half precision. Trained norms are small too.
_UNSCALED = ("gemma3n_text", "gemma4_text")


def make_checkpoint(folder: Path, case: Case) -> Path:
    """The checkpoint is in a folder of its own in `folder`, greedy.json beside it."""
    checkpoint = folder / "Tiny-Model"
    checkpoint.mkdir(parents=True, exist_ok=True)
    _write_model(checkpoint, case)
    TOKENIZERS[case.tokenizer](checkpoint)
    (checkpoint / "README.md").write_text(CARD)
    (checkpoint / "generation_config.json").write_text(json.dumps(_GENERATION))
    write_greedy(load_model(checkpoint, case), folder / "greedy.json", case)
    return checkpoint


def load_model(checkpoint: Path, case: Case) -> Any:
    """In single precision, as anybody would load the folder."""
    model = _class_of(case).from_pretrained(checkpoint, dtype="float32")
    return model.eval()


def _class_of(case: Case) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText

    if case.is_embedding:
        return AutoModel
    return AutoModelForImageTextToText if case.has_pictures else AutoModelForCausalLM


def _write_model(checkpoint: Path, case: Case) -> None:
    import torch
    from transformers import AutoConfig

    torch.manual_seed(7)
    values = case.values if case.has_pictures else {**SMALL, **case.values}
    model = _class_of(case).from_config(AutoConfig.for_model(case.model_type, **values))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            scale = 0.1 if weights.ndim > 1 or "norm" in name else 0.02
            weights.add_(torch.randn(weights.shape) * scale)
            if name.endswith("q_norm.weight") and case.model_type in _UNSCALED:
                weights.mul_(0.2)
        for name, values in model.named_buffers():
            if name.endswith("layer_scalar"):
                values.fill_(0.75)
    model = model.to(getattr(torch, case.dtype))
    model.save_pretrained(checkpoint, **({"max_shard_size": case.shard_bytes} if case.shard_bytes else {}))
    _change_config(checkpoint / "config.json", case.changes)
    if case.shared_keys:
        _add_shared_keys(checkpoint / "model.safetensors", case)


def _change_config(path: Path, changes: dict[str, Any]) -> None:
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(
        json.dumps({key: value for key, value in config.items() if changes.get(key, 0) is not None})
    )


def _add_shared_keys(path: Path, case: Case) -> None:
    """As older checkpoints have them: nobody reads them, so that any numbers do."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    layers = case.values["num_hidden_layers"]
    for layer in range(layers - case.values["num_kv_shared_layers"], layers):
        for name in ("k_proj", "v_proj", "k_norm"):
            like = tensors[f"model.layers.0.self_attn.{name}.weight"]
            tensors[f"model.layers.{layer}.self_attn.{name}.weight"] = torch.randn_like(like)
    save_file(tensors, path, {"format": "pt"})
