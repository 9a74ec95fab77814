"""Which stored tensors fill which tensors of the new file, and their bytes, a chunk of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConversionError
from ...gguf_types import GgmlType
from .checkpoint import Checkpoint
from .encode import as_float32, encoded, quantized
from .families.family import Family
from .safetensors_file import StoredTensor
from .source_error import bad_tensor
from .target import Change, Target

_CHUNK_ELEMENTS = 1 << 18  # 1 MiB in F32: the arrays on the way stay in the processor's cache


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
        _plain_name(name): tensor
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
            _check_shape(tensor, target)
        filled.append(Filled(target, stored, target.type_for(wanted)))
    for name in sorted(left):
        raise bad_tensor(
            by_name[name].path,
            by_name[name].name,
            f"is not known in the family {family.gguf_architecture}",
            hint="the model has a part that cannot be converted",
        )
    return _in_order(checkpoint, filled)


def _plain_name(name: str) -> str:
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


def _check_shape(tensor: StoredTensor, target: Target) -> None:
    if tensor.shape != target.shape:
        raise bad_tensor(
            tensor.path,
            tensor.name,
            f"has the shape {list(tensor.shape)}; config.json asks for {list(target.shape)}",
            hint="config.json may belong to another model",
        )


def chunks(checkpoint: Checkpoint, filled: Filled) -> Iterator[memoryview]:
    """The tensor's bytes in the new file. Some 10 MB are in memory at a time, whatever its size."""
    target, kind = filled.target, filled.kind
    if target.values:
        yield quantized(np.array(target.values, np.float32), kind)
    elif not filled.stored:
        yield from _zeros(target.elements, kind)
    for tensor in filled.stored:
        numbers = checkpoint.numbers(tensor)
        rows = numbers.reshape(target.shape[0], -1) if len(target.shape) > 1 else numbers.reshape(1, -1)
        yield from _rows(rows, tensor.dtype, target, kind)
        if target.rows is not None and target.rows > len(rows):
            yield from _zeros((target.rows - len(rows)) * rows.shape[1], kind)


def _rows(rows: NDArray[Any], dtype: str, target: Target, kind: GgmlType) -> Iterator[memoryview]:
    """(rows, row length) in the order that is written."""
    count = len(rows) if target.rows is None else min(len(rows), target.rows)
    step = max(1, _CHUNK_ELEMENTS // max(1, rows.shape[1]))
    order = None
    if target.change is Change.INTERLEAVE:
        order = _interleaved(target.shape[0], target.heads)
        if len(target.shape) == 1:  # a bias: one row, of which the numbers move
            rows, order = rows[:, order], None
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        piece = rows[part] if order is None else rows[order[part]]
        if target.change is Change.ADD_ONE:
            yield quantized(_plus_one(piece, dtype), kind)
        else:
            yield encoded(piece, dtype, kind)


def _interleaved(count: int, heads: int) -> NDArray[np.intp]:
    """(count,) where each row comes from: row i of a head's first half is followed by that of its second."""
    rows: NDArray[np.intp] = np.arange(count).reshape(heads, 2, -1).swapaxes(1, 2).reshape(count)
    return rows


def _plus_one(piece: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    # llama.cpp's converter adds in half precision, and so do we
    sums = piece + np.float16(1) if dtype == "F16" else as_float32(piece, dtype) + np.float32(1)
    return as_float32(sums, "F32")


def _zeros(elements: int, kind: GgmlType) -> Iterator[memoryview]:
    """Whole rows of zeros."""
    step = max(32, _CHUNK_ELEMENTS // 32 * 32)  # whole blocks
    while elements > 0:
        count = min(elements, step)
        yield quantized(np.zeros(count, np.float32), kind)
        elements -= count
