"""LoRA adapters for the tiny checkpoints, made with PEFT."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cases import CASES
from .checkpoints import CARD, load_model
from .greedy import write_greedy

TYPES = ("f32", "f16", "bf16")
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_LAYER = (*_ATTENTION, "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class AdapterCase:
    base: str  # of CASES
    modules: tuple[str, ...] = _LAYER
    options: dict[str, Any] = field(default_factory=dict)  # of peft.LoraConfig
    dtype: str = "float32"
    stable_rank: bool = False  # llama.cpp's converter passes over use_rslora: its alpha is another


ADAPTERS = {
    "lora-llama": AdapterCase("llama", (*_LAYER, "lm_head", "embed_tokens")),
    "lora-llama3": AdapterCase("llama3", _ATTENTION, dtype="bfloat16"),
    "lora-smollm2": AdapterCase("smollm2", options={"rank_pattern": {"q_proj": 2, "down_proj": 7}}),
    "lora-stable-rank": AdapterCase("smollm2", stable_rank=True),
    "lora-stable-ranks": AdapterCase("smollm2", options={"rank_pattern": {"o_proj": 9}}, stable_rank=True),
    "lora-mistral": AdapterCase("mistral", dtype="float16"),
    "lora-qwen2": AdapterCase("qwen2"),
    "lora-qwen3": AdapterCase("qwen3", ("q_proj", "v_proj")),
    "lora-phi3": AdapterCase("phi3", ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")),
    "lora-gemma2": AdapterCase("gemma2"),
    "lora-gemma3": AdapterCase("gemma3"),
    "lora-gemma3-pictures": AdapterCase("gemma3-pictures", _ATTENTION),
    "lora-gemma3n": AdapterCase("gemma3n-full", (*_LAYER, "per_layer_input_gate", "linear_left")),
    "lora-gemma4": AdapterCase("gemma4", ("q_proj", "o_proj", "up_proj", "per_layer_projection")),
}


def make_adapter(folder: Path, base: Path, case: AdapterCase) -> Path:
    """The adapter is in a folder of its own in `folder`, greedy.json and case.json beside it."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(11)
    options = {"r": 4, "lora_alpha": 6, "use_rslora": case.stable_rank, **case.options}
    config = LoraConfig(target_modules=list(case.modules), task_type="CAUSAL_LM", **options)
    model = get_peft_model(load_model(base, CASES[case.base]), config).eval()
    stored = getattr(torch, case.dtype)
    adapter = folder / "Tiny-Adapter"
    adapter.mkdir(parents=True)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.copy_((torch.randn(weights.shape) * 0.1).to(stored))
        write_greedy(model, folder / "greedy.json", CASES[case.base])
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.data = weights.data.to(stored)
    model.save_pretrained(adapter)
    (adapter / "README.md").write_text(CARD)
    _write_merged(model, folder / "Tiny-Merged", base)
    about = {"base": case.base, "stable_rank": case.stable_rank, "ranks": "rank_pattern" in case.options}
    (folder / "case.json").write_text(json.dumps(about))
    return adapter


def _write_merged(model: Any, folder: Path, base: Path) -> None:
    """The model with the adapter's changes in its own weights, in single precision."""
    model.merge_and_unload().float().save_pretrained(folder)
    for path in base.iterdir():
        if not path.name.endswith((".safetensors", ".index.json", "config.json")) or "token" in path.name:
            shutil.copy(path, folder)
