"""The mapping of stored tensors to tensors of the new file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.errors import ConversionError
from edge_runtime.gguf.types import GgmlType

from .families.family import Family
from .source.checkpoint import Checkpoint
from .source.safetensors_file import StoredTensor
from .source.source_error import bad_tensor
from .source.target import Target
from .stored_numbers import stored_dtype


@dataclass(frozen=True)
class Filled:
    target: Target
    stored: tuple[StoredTensor, ...]  # () where values or zeros fill it
    kind: GgmlType

    @property
    def size_bytes(self) -> int:
        return self.target.elements // self.kind.block_elements * self.kind.block_bytes


def fill(checkpoint: Checkpoint, family: Family, wanted: GgmlType) -> tuple[Filled, ...]:
    """Every tensor of the new file, in the order of the checkpoint.

    Raises ConversionError for a tensor that is missing, has another shape, or is not known.
    """
    by_name = {
        plain_name(name): tensor
        for name, tensor in checkpoint.tensors.items()
        if not any(part in name for part in family.ignored)
    }
    left = set(by_name)
    filled = []
    for target in family.targets(checkpoint.config):
        stored = tuple(by_name[name] for name in target.sources if name in by_name)
        left -= set(target.sources)
        if len(stored) < len(target.sources):
            if target.optional:
                continue
            _check_may_be_missing(checkpoint, target, by_name)
            stored = ()
        for tensor in stored:
            check_stored(tensor, target)
        filled.append(Filled(target, stored, target.type_for(wanted)))
    for name in sorted(left):
        raise bad_tensor(
            by_name[name].path,
            by_name[name].name,
            f"is not known in the family {family.gguf_architecture}",
            hint="the model has a part that cannot be converted",
        )
    return _in_order(checkpoint, filled)


def plain_name(name: str) -> str:
    """As a model of text alone would call it: model.layers.0..., lm_head.weight."""
    name = name.replace("language_model.", "")
    return name if name.startswith(("model.", "lm_head.")) else f"model.{name}"


def _in_order(checkpoint: Checkpoint, filled: Sequence[Filled]) -> tuple[Filled, ...]:
    """What no tensor fills comes first, then what is complete first."""
    places = {tensor.name: place for place, tensor in enumerate(checkpoint.tensors.values())}
    return tuple(sorted(filled, key=lambda f: max((places[t.name] for t in f.stored), default=-1)))


def _check_may_be_missing(checkpoint: Checkpoint, target: Target, found: dict[str, StoredTensor]) -> None:
    missing = [name for name in target.sources if name not in found]
    if not target.zeros_if_missing:
        raise ConversionError(
            f"{checkpoint.folder.name}: tensor {missing[0]!r} is missing; {target.name} is made of it",
            hint="fetch all safetensors files of the checkpoint; config.json may belong to another model",
            path=str(checkpoint.folder),
            tensor=missing[0],
        )


def check_stored(tensor: StoredTensor, target: Target) -> None:
    """Raises ConversionError for another shape, or a type that cannot be converted."""
    stored_dtype(tensor)
    if tensor.shape != target.shape:
        raise bad_tensor(
            tensor.path,
            tensor.name,
            f"has the shape {list(tensor.shape)}; config.json asks for {list(target.shape)}",
            hint="config.json may belong to another model",
        )
