"""Cutting a smaller model out of a MatFormer file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from edge_runtime.catalog.catalog import locate
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.writing import NewTensor, write_gguf
from edge_runtime.values.files import expanded
from edge_runtime.values.output_file import check_output
from edge_runtime.values.progress import QUIET, Progress

from ..tensor_data import element_count
from .cuts import cut_tensors
from .matformer import MatFormer, read_matformer
from .metadata import slice_metadata
from .options import SliceOptions
from .plan import SlicePlan, plan_slice


@dataclass(frozen=True)
class Extent:
    layers: int
    feed_forward: int  # columns; of the widest layer
    tensors: int
    parameters: int
    size_bytes: int  # of all files


@dataclass(frozen=True)
class Sliced:
    path: Path
    source: Path
    skipped_layers: tuple[int, ...]  # as the source counts them
    before: Extent
    after: Extent
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path), "source": str(self.source)}


def slice_model(
    model: str | Path,
    output: str | os.PathLike[str],
    options: SliceOptions,
    *,
    force: bool = False,
    progress: Progress = QUIET,
) -> Sliced:
    """Write what stays of a Gemma 3n, a name or a GGUF file (of a split set the first), to one file.

    Weights keep their type and every bit; a few megabytes of them are in memory at a time.
    `output` appears when it is whole, or not at all.

    Raises ModelUnsupported (no MatFormer model, or one that llama.cpp's constants do not fit),
    OptionInvalid (a cut that llama.cpp could not load, or through a block of weights; an output
    that exists without `force`), ModelNotFound, ModelFileInvalid, StorageFull.
    """
    path = expanded(output)
    check_output(path, force)
    header = read_header(locate(model).path)
    check_header(header)
    source = read_matformer(header)
    plan = plan_slice(source, options)
    tensors = cut_tensors(source, plan)
    parameters = sum(prod(tensor.shape) for tensor in tensors)
    metadata = slice_metadata(source, plan, parameters)
    smaller = "cut more with feed_forward= or skip_layers="
    size_bytes = write_gguf(path, metadata, tensors, force=force, smaller=smaller, progress=progress)
    return Sliced(
        path=path,
        source=header.path,
        skipped_layers=plan.skipped,
        before=_before(source),
        after=_after(plan, tensors, parameters, size_bytes),
        notes=plan.notes,
    )


def _before(source: MatFormer) -> Extent:
    header = source.header
    parameters = sum(map(element_count, header.tensors))
    return Extent(
        source.layers, max(source.feed_forward), len(header.tensors), parameters, header.file_size_bytes
    )


def _after(plan: SlicePlan, tensors: list[NewTensor], parameters: int, size_bytes: int) -> Extent:
    return Extent(len(plan.kept), plan.feed_forward, len(tensors), parameters, size_bytes)
