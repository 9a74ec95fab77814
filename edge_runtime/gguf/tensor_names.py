"""Names of tensors: those that stand alone, and blk.N.KIND for those of layer N.

Source: llama.cpp at 0c1e57098, src/llama-arch.cpp (LLM_TENSOR_NAMES).
"""

from __future__ import annotations

import re

EMBEDDING_TENSOR = "token_embd.weight"
OUTPUT_TENSOR = "output.weight"
PLE_TENSOR = "per_layer_token_embd.weight"  # per-layer embeddings of Gemma 3n and 4
PLE_PROJECTION_TENSOR = "per_layer_model_proj.weight"

_OF_LAYER = re.compile(r"blk\.(\d{1,9})\.(.+)", re.DOTALL | re.ASCII)


def layer_tensor(layer: int, kind: str) -> str:
    """(3, 'ffn_up.weight') -> 'blk.3.ffn_up.weight'"""
    return f"blk.{layer}.{kind}"


def split_name(name: str) -> tuple[int, str] | None:
    """'blk.3.ffn_up.weight' -> (3, 'ffn_up.weight'); None for what belongs to no layer."""
    found = _OF_LAYER.fullmatch(name)
    return (int(found[1]), found[2]) if found else None
