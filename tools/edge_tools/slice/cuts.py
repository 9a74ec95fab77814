"""The rows and columns of each tensor that stay, and reading just those: no weight changes a bit.

A row is whole blocks of its type, one after the other. So rows can be left out anywhere,
and columns where a block begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.tensor_names import PLE_PROJECTION_TENSOR, PLE_TENSOR, layer_tensor, split_name
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.gguf.writing import NewTensor

from ..tensor_data import read_range
from .matformer import PLE_WIDTH, MatFormer
from .plan import SlicePlan

Spans = tuple[tuple[int, int], ...]  # from, to; in order

_CHUNK_BYTES = 1 << 20  # stays in the processor's cache: columns take twice as long with 4 MiB


@dataclass(frozen=True)
class Cut:
    """A tensor of the source, what it is called afterwards, and what stays of it; None means all."""

    tensor: TensorInfo
    name: str
    columns: Spans | None = None
    rows: Spans | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """ggml's order: columns, rows."""
        sizes = list(self.tensor.shape)
        for dimension, spans in enumerate((self.columns, self.rows)):
            if spans is not None:
                sizes[dimension] = sum(end - start for start, end in spans)
        return tuple(sizes)


def cut_tensors(source: MatFormer, plan: SlicePlan) -> list[NewTensor]:
    """In the source's order. Raises OptionInvalid where a cut would go through a block."""
    numbers = {layer: number for number, layer in enumerate(plan.kept)}
    cuts = [cut for tensor in source.header.tensors if (cut := _cut(tensor, plan, numbers))]
    _check_blocks(source, cuts, plan)
    return [
        NewTensor(cut.name, cut.shape, cut.tensor.type, partial(_pieces, source.header, cut)) for cut in cuts
    ]


def _cut(tensor: TensorInfo, plan: SlicePlan, numbers: dict[int, int]) -> Cut | None:
    found = split_name(tensor.name)
    if found is None:
        return _cut_table(tensor, plan)
    layer, name = found
    if layer not in numbers:
        return None
    new_name = layer_tensor(numbers[layer], name)
    first: Spans = ((0, plan.feed_forward),)
    if name in ("ffn_gate.weight", "ffn_up.weight"):
        return Cut(tensor, new_name, rows=first)
    if name == "ffn_down.weight":
        return Cut(tensor, new_name, columns=first)
    return Cut(tensor, new_name)


def _cut_table(tensor: TensorInfo, plan: SlicePlan) -> Cut:
    """One that all layers share."""
    if tensor.name == PLE_TENSOR:
        return Cut(tensor, tensor.name, columns=_layer_spans(plan.kept))
    if tensor.name == PLE_PROJECTION_TENSOR:
        return Cut(tensor, tensor.name, rows=_layer_spans(plan.kept))
    return Cut(tensor, tensor.name)


def _layer_spans(layers: tuple[int, ...]) -> Spans:
    """Where the layers' per-layer embeddings lie; neighbours together."""
    spans: list[tuple[int, int]] = []
    for layer in layers:
        start, end = PLE_WIDTH * layer, PLE_WIDTH * (layer + 1)
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
    return tuple(spans)


def _check_blocks(source: MatFormer, cuts: list[Cut], plan: SlicePlan) -> None:
    """Every ggml block divides PLE_WIDTH, so it is the feed-forward that may not fit."""
    downs = [cut.tensor for cut in cuts if cut.name.endswith(".ffn_down.weight")]
    tensor = max(downs, key=lambda down: down.type.block_elements)
    block = tensor.type.block_elements
    below = plan.feed_forward // block * block
    if below == plan.feed_forward:
        return
    above = below + block
    nearest = [columns for columns in (below, above) if 0 < columns <= min(source.feed_forward)]
    fitting = " or ".join(f"feed_forward={columns}" for columns in nearest)
    raise OptionInvalid(
        f"feed_forward: {plan.feed_forward} would cut through a block: {tensor.name} is {tensor.type.name}, "
        f"{block} weights to a block",
        hint=f"{fitting}; any width goes with a file in BF16, F16 or F32",
        option="feed_forward",
        value=plan.feed_forward,
        tensor=tensor.name,
        type=tensor.type.name,
        allowed=nearest,
    )


def _pieces(header: GgufHeader, cut: Cut) -> Iterator[memoryview]:
    """The data that stays, a few megabytes at a time. Raises ModelFileInvalid."""
    tensor = cut.tensor
    if cut.shape == tensor.shape:
        yield from _range_pieces(header, tensor, 0, tensor.size_bytes)
    elif cut.columns is not None:
        yield from _column_pieces(header, tensor, cut.columns)
    else:
        row_bytes = _size_bytes(tensor, tensor.shape[0])
        for start, end in cut.rows or ():
            yield from _range_pieces(header, tensor, start * row_bytes, end * row_bytes)


def _range_pieces(
    header: GgufHeader, tensor: TensorInfo, start_bytes: int, end_bytes: int
) -> Iterator[memoryview]:
    return (piece.data for piece in read_range(header, tensor, start_bytes, end_bytes, _CHUNK_BYTES))


def _column_pieces(header: GgufHeader, tensor: TensorInfo, columns: Spans) -> Iterator[memoryview]:
    row_bytes = _size_bytes(tensor, tensor.shape[0])
    spans = [(_size_bytes(tensor, start), _size_bytes(tensor, end)) for start, end in columns]
    chunk_bytes = max(1, _CHUNK_BYTES // row_bytes) * row_bytes
    for chunk in read_range(header, tensor, 0, tensor.size_bytes, chunk_bytes):
        rows = chunk.reshape(-1, row_bytes)
        yield np.concatenate([rows[:, start:end] for start, end in spans], axis=1).reshape(-1).data


def _size_bytes(tensor: TensorInfo, elements: int) -> int:
    """Of whole blocks."""
    return elements // tensor.type.block_elements * tensor.type.block_bytes
