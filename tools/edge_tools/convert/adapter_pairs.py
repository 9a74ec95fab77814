"""The pairs of matrices in a LoRA adapter, and the weights of the base model that each belongs to.

Source of the names: peft utils/save_and_load.py, get_peft_model_state_dict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_runtime.gguf.tensor_names import EMBEDDING_TENSOR, OUTPUT_TENSOR

from .adapter_config import MERGE
from .families.family import Family
from .source.config import Config
from .source.safetensors_file import StoredTensor
from .source.source_error import bad_tensor
from .source.target import Target
from .weights import plain_name

EMBEDDING, OUTPUT = EMBEDDING_TENSOR, OUTPUT_TENSOR
_NAME = re.compile(r"(.+)\.lora_(?:([AB])\.weight|embedding_([AB]))")
_PREFIX = "base_model.model."
_BASE_COPY = ".base_layer.weight"  # of an embedding that has an adapter, which PEFT saves beside it
# Weights that llama.cpp multiplies by together with an adapter's; beside others it passes it over.
# Source: llama.cpp src/llama-graph.cpp and src/models, the calls of build_lora_mm.
_ADAPTED = re.compile(
    r"(token_embd|output|blk\.[0-9]+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down)|inp_gate|proj|laurel_[lr]))"
    r"\.weight"
)


@dataclass(frozen=True)
class Pair:
    """`target` is the weight itself; `a` and `b` are what is added to it."""

    target: Target
    a: StoredTensor
    b: StoredTensor

    @property
    def rank(self) -> int:
        return self.b.shape[1]


def find_pairs(tensors: Iterable[StoredTensor], family: Family, config: Config) -> tuple[Pair, ...]:
    """In the order in which their first halves lie in the file; `config` is the base model's.

    What belongs to a part of the model that is not converted, such as one that sees pictures, is
    left out. Raises ConversionError for anything else that has no place.
    """
    targets = {source: target for target in family.targets(config) for source in target.sources}
    found: dict[str, dict[str, StoredTensor]] = {}
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset_bytes):
        weight, side = _weight_and_side(tensor, targets)
        if weight not in targets and any(part in tensor.name for part in family.ignored):
            continue
        if side:
            _check_adapted(tensor, weight, targets)
            sides = found.setdefault(weight, {})
            if side in sides:
                raise bad_tensor(tensor.path, tensor.name, f"has the place of {sides[side].name!r}")
            sides[side] = tensor
    return tuple(_pair(targets[weight], sides) for weight, sides in found.items())


def _weight_and_side(tensor: StoredTensor, targets: Mapping[str, Target]) -> tuple[str, str]:
    """The weight's name in a checkpoint, and "A" or "B"; "" for what is there only as a copy."""
    name = tensor.name.removeprefix(_PREFIX)
    found = _NAME.fullmatch(name)
    if found:
        return plain_name(f"{found[1]}.weight"), found[2] or found[3]
    weight = plain_name(name.replace(_BASE_COPY, ".weight"))
    if name.endswith(_BASE_COPY) and weight in targets and targets[weight].shape == tensor.shape:
        return weight, ""
    raise bad_tensor(tensor.path, tensor.name, "is no matrix of a LoRA", hint=MERGE)


def _check_adapted(tensor: StoredTensor, weight: str, targets: Mapping[str, Target]) -> None:
    target = targets.get(weight)
    if target is None:
        raise bad_tensor(
            tensor.path,
            tensor.name,
            f"belongs to {weight!r}, which the base model does not have",
            hint="base= may be another model than the adapter was made for",
        )
    if not _ADAPTED.fullmatch(target.name):
        raise bad_tensor(
            tensor.path,
            tensor.name,
            f"belongs to {target.name}, beside which llama.cpp uses no adapter",
            MERGE,
        )
    is_tied = not any(target.name == OUTPUT and not target.optional for target in targets.values())
    if is_tied and target.name in (EMBEDDING, OUTPUT):
        problem = "changes the embedding or the output, which are one matrix in this model"
        raise bad_tensor(tensor.path, tensor.name, problem, MERGE)


def _pair(target: Target, sides: Mapping[str, StoredTensor]) -> Pair:
    for side, other in (("A", "B"), ("B", "A")):
        if side not in sides:
            there = sides[other]
            raise bad_tensor(there.path, there.name, f"is there without its lora_{side}")
    for tensor in sides.values():
        if len(tensor.shape) != 2 or not all(tensor.shape):
            raise bad_tensor(
                tensor.path, tensor.name, f"has the shape {list(tensor.shape)}, and is no matrix"
            )
    return Pair(target, sides["A"], sides["B"])
