"""Writes a GGUF file with a real model's shape and random weights, for measuring memory and speed."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import EdgeRuntimeError, ModelUnsupported, OptionInvalid, StorageFull
from ...gguf_types import GgmlType, TensorInfo
from ...progress import QUIET, Progress
from ...units import format_bytes
from .blocks import RandomBlocks, type_for_rows
from .families import FAMILIES
from .header_bytes import ALIGNMENT_BYTES, HeaderValue, header_bytes
from .quantizations import Quantizations
from .shape import Shape
from .vocabulary import tokenizer_metadata
from .weight import TensorClass, Weight

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class ClassSize:
    """What one class of tensors takes in one type; a class has two where rows are too short for its own."""

    kind: TensorClass
    type: GgmlType
    tensors: int
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        return {
            "class": self.kind.value,
            "type": self.type.name,
            "tensors": self.tensors,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Written:
    path: Path
    shape: Shape
    seed: int
    size_bytes: int  # of the whole file
    parameters: int
    classes: tuple[ClassSize, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "shape": self.shape.name,
            "architecture": self.shape.architecture,
            "seed": self.seed,
            "size_bytes": self.size_bytes,
            "parameters": self.parameters,
            "classes": [row.as_json() for row in self.classes],
        }


@dataclass(frozen=True)
class _Placed:
    weight: Weight
    info: TensorInfo


def write_model(
    path: str | os.PathLike[str],
    shape: Shape,
    quantizations: Quantizations | None = None,
    *,
    seed: int = 0,
    tokenizer: str | Path | None = None,
    force: bool = False,
    progress: Progress = QUIET,
) -> Written:
    """Write `shape` with random weights; the same arguments give the same bytes.

    `tokenizer` is the model to copy one from, by default gemma-3-270m, which must be on
    this device. The file appears under its name when it is whole, or not at all.

    Raises OptionInvalid (the file exists and `force` is False; a shape llama.cpp would
    refuse), ModelUnsupported (an architecture that is not known here), ModelNotFound (no
    tokenizer), StorageFull.
    """
    path = Path(path).expanduser()
    _check_target(path, force)
    quantizations = quantizations or Quantizations()
    placed = _place(weights_of(shape), quantizations)
    metadata = _metadata(shape, quantizations, seed) | tokenizer_metadata(shape.vocabulary_tokens, tokenizer)
    header = header_bytes(metadata, [tensor.info for tensor in placed])
    total_bytes = len(header) + _data_bytes(placed)
    with _new_file(path, total_bytes, force) as file, progress.bar(path.name, total_bytes, 0) as advance:
        file.write(header)
        advance(len(header))
        blocks = RandomBlocks(seed)
        for tensor in placed:
            for piece in _data(tensor, blocks):
                file.write(piece)
                advance(len(piece))
    parameters = sum(tensor.weight.elements for tensor in placed)
    return Written(path, shape, seed, total_bytes, parameters, _classes(placed))


def weights_of(shape: Shape) -> tuple[Weight, ...]:
    """Every tensor a model of this shape has. Raises ModelUnsupported or OptionInvalid."""
    family = FAMILIES.get(shape.architecture)
    if family is None:
        raise ModelUnsupported(
            f"shape {shape.name}: no family of tensors is known for architecture {shape.architecture!r}",
            hint=f"known: {', '.join(sorted(FAMILIES))}",
            architecture=shape.architecture,
        )
    family.check(shape)
    return tuple(family.weights(shape))


def _metadata(shape: Shape, quantizations: Quantizations, seed: int) -> dict[str, HeaderValue]:
    return {
        "general.architecture": shape.architecture,
        "general.type": "model",
        # Not the shape's: for a name with "phi-3" llama.cpp looks for Phi's own tokens, and fails.
        "general.name": f"random weights, {shape.layers} layers of {shape.width}",
        "general.description": f"Made for measurements in the shape of {shape.name}, with seed {seed}.",
        "general.file_type": quantizations.file_type,
        "general.quantization_version": 2,
        **shape.metadata(),
    }


def _place(weights: Sequence[Weight], quantizations: Quantizations) -> tuple[_Placed, ...]:
    placed, offset_bytes = [], 0
    for weight in weights:
        kind = type_for_rows(quantizations.of(weight.kind), weight.shape[0])
        size_bytes = weight.elements // kind.block_elements * kind.block_bytes
        info = TensorInfo(weight.name, weight.shape, kind, offset_bytes, size_bytes, 0)
        placed.append(_Placed(weight, info))
        offset_bytes += size_bytes + _padding_bytes(size_bytes)
    return tuple(placed)


def _padding_bytes(size_bytes: int) -> int:
    return -size_bytes % ALIGNMENT_BYTES


def _data_bytes(placed: Sequence[_Placed]) -> int:
    return sum(t.info.size_bytes + _padding_bytes(t.info.size_bytes) for t in placed)


def _data(tensor: _Placed, blocks: RandomBlocks) -> Iterator[bytes | memoryview]:
    weight, info = tensor.weight, tensor.info
    if weight.values:
        yield np.array(weight.values, "<f4").tobytes()
    elif weight.kind is TensorClass.NORM:
        yield blocks.near_one(weight.elements).tobytes()
    else:
        yield from blocks.stream(info.type, info.size_bytes)
    yield bytes(_padding_bytes(info.size_bytes))


def _classes(placed: Sequence[_Placed]) -> tuple[ClassSize, ...]:
    tensors: Counter[tuple[TensorClass, GgmlType]] = Counter()
    size_bytes: Counter[tuple[TensorClass, GgmlType]] = Counter()
    for tensor in placed:
        key = tensor.weight.kind, tensor.info.type
        tensors[key] += 1
        size_bytes[key] += tensor.info.size_bytes
    order = list(TensorClass)
    keys = sorted(tensors, key=lambda key: (order.index(key[0]), -size_bytes[key]))
    return tuple(ClassSize(*key, tensors[key], size_bytes[key]) for key in keys)


def _check_target(path: Path, force: bool) -> None:
    if path.is_dir() or (path.exists() and not force):
        found = "is a folder" if path.is_dir() else "exists already"
        raise OptionInvalid(
            f"{path} {found}",
            hint="give another name" + ("" if path.is_dir() else ", or --force to replace it"),
            option="output",
            value=str(path),
        )


@contextmanager
def _new_file(path: Path, total_bytes: int, force: bool) -> Iterator[BinaryIO]:
    """A file that gets its name when the block ends well, and is gone when it does not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if total_bytes > shutil.disk_usage(path.absolute().parent).free:
            raise _full(path, total_bytes)
        with partial.open("wb", buffering=1 << 20) as file:
            yield file
        _check_target(path, force)  # again: another program may have been as busy
        partial.replace(path)
    except OSError as error:
        if isinstance(error, EdgeRuntimeError):
            raise
        raise _full(path, total_bytes) if error.errno in _NO_ROOM else _cannot_write(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _full(path: Path, needed_bytes: int) -> StorageFull:
    folder = path.absolute().parent
    free_bytes = shutil.disk_usage(folder).free
    return StorageFull(
        f"no room in {folder}: {format_bytes(needed_bytes)} needed, {format_bytes(free_bytes)} free",
        hint="write to a larger disk, or a smaller model with --scale",
        needed_bytes=needed_bytes,
        free_bytes=free_bytes,
        path=str(folder),
    )


def _cannot_write(path: Path, error: OSError) -> OptionInvalid:
    return OptionInvalid(
        f"cannot write {path}: {error.strerror}",
        hint="name a file in a folder that exists and that you may write to",
        option="output",
        value=str(path),
    )
