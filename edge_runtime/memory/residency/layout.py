"""The residency layout: the bytes of a model that stay in memory, come and go, or are never read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...gguf.header import GgufHeader
from ...gguf.tensor_names import EMBEDDING_TENSOR, OUTPUT_TENSOR, PLE_TENSOR, split_name
from ...gguf.types import TensorInfo
from .. import PlePolicy
from ..streaming import BLOCK_BYTES, STREAMABLE_KINDS, block_bytes, block_range, streamable_kind
from .mapping import FileRange


@dataclass(frozen=True)
class StreamedTensor:
    name: str
    place: FileRange  # whole blocks; the tensor's ends beyond them stay in memory


@dataclass(frozen=True)
class ResidencyLayout:
    """File ranges by what becomes of them after loading."""

    files: tuple[Path, ...]
    used: tuple[FileRange, ...]  # read by every token, from the mapping
    ple: tuple[FileRange, ...] = ()  # a few pages of it a token
    ple_locked: tuple[FileRange, ...] = ()  # rows of it that always stay
    streamed: tuple[StreamedTensor, ...] = ()  # in the order of use
    repacked: tuple[str, ...] | None = None  # names; None: llama.cpp decides
    rows_at_random: bool = True  # False: a touched page of `ple` brings its neighbours
    ple_cache_bytes: int | None = None  # None: no cap
    window_bytes: int = 0  # most of `streamed` that is in memory at a time
    lock: bool = False


def plan_layout(
    header: GgufHeader,
    *,
    repack: Callable[[TensorInfo], bool],
    streamed_bytes: int = 0,
    window_bytes: int = 0,
    ple_policy: PlePolicy = PlePolicy.CACHE,
    ple_cache_bytes: int | None = None,
    ple_locked_bytes: int = 0,
) -> ResidencyLayout:
    """Sort every tensor into a group.

    repack: whether llama.cpp makes a copy of this tensor in another order, so that
    its bytes in the file are not read again. streamed_bytes: at least so much of the
    layers' matrices does not stay, spread evenly over the layers.
    """
    streamed = choose_streamed(header, streamed_bytes)
    gone = {tensor.name for tensor in streamed}
    tied = all(tensor.name != OUTPUT_TENSOR for tensor in header.tensors)
    repacked = {t.name for t in header.tensors if t.name not in gone | {PLE_TENSOR} and repack(t)}
    if streamed or not tied:  # tensors are named one by one then, and a table of rows has to stay as it is
        repacked.discard(EMBEDDING_TENSOR)
    rows_only = {PLE_TENSOR}  # looked up row by row, never multiplied with
    if not tied or EMBEDDING_TENSOR in repacked:
        rows_only.add(EMBEDDING_TENSOR)
    if ple_policy is PlePolicy.RESIDENT:
        rows_only.discard(PLE_TENSOR)
    used = [t for t in header.tensors if t.name not in gone | repacked | rows_only]
    lengths = {PLE_TENSOR: ple_locked_bytes}  # of the part that stays
    tables = [(_place(t), lengths.get(t.name, 0)) for t in header.tensors if t.name in rows_only]
    return ResidencyLayout(
        files=header.paths,
        used=merge_ranges([*map(_place, used), *_ends(header, streamed)]),
        ple=tuple(_without_first(place, length) for place, length in tables),
        ple_locked=tuple(_first(place, length) for place, length in tables if length),
        streamed=streamed,
        repacked=tuple(sorted(repacked)) if streamed else None,
        rows_at_random=ple_policy is not PlePolicy.MAPPED,
        ple_cache_bytes=ple_cache_bytes,
        window_bytes=window_bytes,
        lock=bool(streamed),
    )


def choose_streamed(header: GgufHeader, streamed_bytes: int) -> tuple[StreamedTensor, ...]:
    """Matrices of together at least streamed_bytes (or all there are), evenly over the layers.

    Of one of them only as many blocks as are missing.
    """
    chosen: list[TensorInfo] = []
    missing_bytes = streamed_bytes
    for kind in STREAMABLE_KINDS:
        if missing_bytes <= 0:
            break
        tensors = [t for t in header.tensors if streamable_kind(t) == kind and block_bytes(t)]
        picked = _evenly(tensors, missing_bytes)
        chosen += picked
        missing_bytes -= sum(map(block_bytes, picked))
    while chosen and block_bytes(chosen[-1]) <= -missing_bytes:
        missing_bytes += block_bytes(chosen.pop())
    last = chosen[-1].name if chosen else ""
    spared_bytes = max(-missing_bytes, 0) // BLOCK_BYTES * BLOCK_BYTES
    return tuple(
        StreamedTensor(t.name, _blocks(t, spared_bytes if t.name == last else 0))
        for t in sorted(chosen, key=_order_of_use)
    )


def _blocks(tensor: TensorInfo, spared_bytes: int) -> FileRange:
    start, end = block_range(tensor)
    return FileRange(tensor.file_index, start, end - spared_bytes)


def _order_of_use(tensor: TensorInfo) -> tuple[int, int]:
    return _layer(tensor), -STREAMABLE_KINDS.index(streamable_kind(tensor) or "")


def _evenly(tensors: Sequence[TensorInfo], wanted_bytes: int) -> list[TensorInfo]:
    """As few of them as give wanted_bytes, at equal distances."""
    total_bytes = sum(map(block_bytes, tensors))
    if wanted_bytes >= total_bytes:
        return list(tensors)
    count = len(tensors)
    for wanted in range(1, count):
        picked = [tensors[(2 * i + 1) * count // (2 * wanted)] for i in range(wanted)]
        if sum(map(block_bytes, picked)) >= wanted_bytes:
            return picked
    return list(tensors)


def merge_ranges(ranges: Iterable[FileRange]) -> tuple[FileRange, ...]:
    """Neighbours become one, also across the padding between two tensors."""
    merged: list[FileRange] = []
    for place in sorted(ranges, key=lambda r: (r.file_index, r.start)):
        last = merged[-1] if merged else None
        if last and last.file_index == place.file_index and place.start - last.end < 4096:
            merged[-1] = FileRange(last.file_index, last.start, place.end)
        else:
            merged.append(place)
    return tuple(merged)


def _first(place: FileRange, size_bytes: int) -> FileRange:
    return FileRange(place.file_index, place.start, min(place.start + size_bytes, place.end))


def _without_first(place: FileRange, size_bytes: int) -> FileRange:
    return FileRange(place.file_index, min(place.start + size_bytes, place.end), place.end)


def _place(tensor: TensorInfo) -> FileRange:
    return FileRange(tensor.file_index, tensor.offset_bytes, tensor.offset_bytes + tensor.size_bytes)


def _ends(header: GgufHeader, streamed: Sequence[StreamedTensor]) -> list[FileRange]:
    """What a streamed tensor has before its first whole block and behind its last."""
    blocks = {tensor.name: tensor.place for tensor in streamed}
    ends = []
    for tensor in header.tensors:
        if tensor.name in blocks:
            whole, inner = _place(tensor), blocks[tensor.name]
            ends += [
                FileRange(whole.file_index, whole.start, inner.start),
                FileRange(whole.file_index, inner.end, whole.end),
            ]
    return ends


def _layer(tensor: TensorInfo) -> int:
    of_layer = split_name(tensor.name)
    return of_layer[0] if of_layer else 0
