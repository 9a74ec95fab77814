"""Every byte of a model has one place: kept, looked up by row, streamed, or copied and never read again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path

import pytest
from edge_tools.synth import Quantizations, shape_named, shape_names, weights_of
from edge_tools.synth.blocks import type_for_rows
from support.memory_models import header as made_up_header

from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.tensor_names import EMBEDDING_TENSOR, PLE_TENSOR
from edge_runtime.gguf.types import GgmlType, TensorInfo
from edge_runtime.memory import Platform, PlePolicy
from edge_runtime.memory.residency import ResidencyLayout, plan_layout
from edge_runtime.memory.residency.layout import choose_streamed, merge_ranges
from edge_runtime.memory.residency.mapping import FileRange
from edge_runtime.memory.streaming import BLOCK_BYTES
from edge_runtime.memory.weights import can_be_repacked

X86 = Platform(cpu_features=frozenset({"avx2", "fma"}))
FIRST_BYTE = 6_000_032  # of the data, behind metadata and tensor table
STREAMED_BYTES = [0, 1, 100_000_000, 10**12]


def header_of(name: str, files: int = 1, **types: str) -> GgufHeader:
    """Real sizes and offsets, as a converter lays them out; the file does not exist."""
    shape, quantizations = shape_named(name), Quantizations.named(**{"body": "Q4_0", **types})
    ends, tensors = [FIRST_BYTE] * files, []
    weights = weights_of(shape)
    for number, weight in enumerate(weights):
        kind = type_for_rows(quantizations.of(weight.kind), weight.shape[0])
        size_bytes = prod(weight.shape) // kind.block_elements * kind.block_bytes
        index = number * files // len(weights)
        tensors.append(TensorInfo(weight.name, weight.shape, kind, ends[index], size_bytes, index))
        ends[index] += size_bytes + -size_bytes % 32
    header = made_up_header(shape.architecture, shape.layers, tensors=tensors)
    return replace(header, paths=tuple(Path(f"part-{number}.gguf") for number in range(files)))


def repacked_here(tensor: TensorInfo) -> bool:
    return can_be_repacked(tensor, X86)


def overlap_bytes(tensor: TensorInfo, places: Sequence[FileRange]) -> int:
    first, last = tensor.offset_bytes, tensor.offset_bytes + tensor.size_bytes
    return sum(
        max(min(place.end, last) - max(place.start, first), 0)
        for place in places
        if place.file_index == tensor.file_index
    )


def shares(header: GgufHeader, layout: ResidencyLayout) -> dict[str, tuple[int, int, int]]:
    """Bytes of each tensor that are used, looked up, streamed. Also checks that no two groups meet."""
    places = [tensor.place for tensor in layout.streamed]
    everything = sorted([*layout.used, *layout.ple, *places], key=lambda r: (r.file_index, r.start, r.end))
    for one, other in pairwise(everything):
        assert one.file_index < other.file_index or one.end <= other.start
    return {
        tensor.name: (
            overlap_bytes(tensor, layout.used),
            overlap_bytes(tensor, layout.ple),
            overlap_bytes(tensor, places),
        )
        for tensor in header.tensors
    }


def matrices(header: GgufHeader) -> set[str]:
    """What is copied when nothing is streamed; a tied embedding that has to be multiplied with is, too."""
    tied = all(tensor.name != "output.weight" for tensor in header.tensors)
    not_copied = {PLE_TENSOR} | (set() if tied else {EMBEDDING_TENSOR})
    return {t.name for t in header.tensors if repacked_here(t) and t.name not in not_copied}


# --- every byte ------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed_bytes", STREAMED_BYTES)
@pytest.mark.parametrize("repack", [True, False])
@pytest.mark.parametrize("name", shape_names())
def test_every_byte_is_in_exactly_one_group(name: str, repack: bool, streamed_bytes: int) -> None:
    header = header_of(name)
    layout = plan_layout(
        header, repack=lambda t: repack and repacked_here(t), streamed_bytes=streamed_bytes, window_bytes=1
    )
    copied = matrices(header) if repack else set()
    if layout.streamed:
        copied -= {EMBEDDING_TENSOR, *(tensor.name for tensor in layout.streamed)}
        assert layout.repacked == tuple(sorted(copied))
    else:
        assert layout.repacked is None  # llama.cpp decides, by the same rules
    for tensor, (used, rows, streamed) in zip(header.tensors, shares(header, layout).values(), strict=True):
        if tensor.name in copied:
            assert (used, streamed) == (0, 0), tensor.name
            assert rows == (tensor.size_bytes if tensor.name == EMBEDDING_TENSOR else 0)
        else:
            assert used + rows + streamed == tensor.size_bytes, tensor.name
            assert rows in (0, tensor.size_bytes)


def test_a_model_in_several_files() -> None:
    header = header_of("gemma-3-1b", files=3)
    layout = plan_layout(header, repack=lambda t: False, streamed_bytes=50_000_000, window_bytes=1)
    assert len(layout.files) == 3
    assert {place.file_index for place in layout.used} == {0, 1, 2}
    sizes = {name: sum(parts) for name, parts in shares(header, layout).items()}
    assert sizes == {tensor.name: tensor.size_bytes for tensor in header.tensors}


# --- tables that are looked up -------------------------------------------------------------------


def looked_up(header: GgufHeader, **options: object) -> set[str]:
    layout = plan_layout(header, repack=repacked_here, **options)  # type: ignore[arg-type]
    return {name for name, (_, rows, _) in shares(header, layout).items() if rows}


def test_a_tied_embedding_is_used_in_full_unless_there_is_a_copy() -> None:
    assert looked_up(header_of("gemma-3-1b", embedding="Q6_K")) == set()  # no copy of this type on x86
    assert looked_up(header_of("gemma-3-1b", embedding="Q4_0")) == {EMBEDDING_TENSOR}


def test_while_streaming_the_tied_embedding_is_not_copied() -> None:
    """Its table of rows and its copy would be one tensor, and named once only."""
    header = header_of("gemma-3-1b", embedding="Q4_0")
    assert looked_up(header, streamed_bytes=10_000_000) == set()


@pytest.mark.parametrize("kind", ["Q6_K", "Q4_0"])
def test_an_embedding_with_its_own_output_is_looked_up(kind: str) -> None:
    header = header_of("tinyllama-1.1b", embedding=kind, output=kind)
    assert looked_up(header) == looked_up(header, streamed_bytes=10_000_000) == {EMBEDDING_TENSOR}


@pytest.mark.parametrize("policy", list(PlePolicy))
def test_per_layer_embeddings_by_policy(policy: PlePolicy) -> None:
    header = header_of("gemma-3n-e2b", ple="Q4_0")
    layout = plan_layout(header, repack=repacked_here, ple_policy=policy, ple_cache_bytes=7)
    used, rows, _ = shares(header, layout)[PLE_TENSOR]
    assert (used > 0, rows > 0) == (policy is PlePolicy.RESIDENT, policy is not PlePolicy.RESIDENT)
    assert layout.rows_at_random == (policy is not PlePolicy.MAPPED)
    assert layout.ple_cache_bytes == 7


# --- what is streamed ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({*shape_names()} - {"smollm2-135m"}))  # whose matrices are too small
def test_streamed_pieces_are_whole_blocks_of_matrices_in_order_of_use(name: str) -> None:
    header = header_of(name, body="Q8_0")
    streamed = choose_streamed(header, 10**12)
    assert streamed
    for tensor in streamed:
        assert tensor.name.startswith("blk.") and tensor.name.endswith(".weight")
        assert tensor.place.start % BLOCK_BYTES == tensor.place.end % BLOCK_BYTES == 0
        assert tensor.place.start < tensor.place.end
    layers = [int(tensor.name.split(".")[1]) for tensor in streamed]
    assert layers == sorted(layers)
    assert len({tensor.name for tensor in streamed}) == len(streamed)


@pytest.mark.parametrize("wanted_bytes", [1, 50_000_000, 200_000_000, 400_000_000])
@pytest.mark.parametrize("name", ["gemma-3-1b", "gemma-3n-e2b", "gemma-4-e2b", "phi-3-mini-4k"])
def test_at_least_what_is_wanted_and_hardly_more(name: str, wanted_bytes: int) -> None:
    header = header_of(name, body="Q8_0")
    streamed = choose_streamed(header, wanted_bytes)
    sizes = [tensor.place.end - tensor.place.start for tensor in streamed]
    assert sum(sizes) >= wanted_bytes
    assert sum(sizes) < wanted_bytes + BLOCK_BYTES
    assert min(sizes) > 0


def test_all_there_is_when_that_is_not_enough() -> None:
    header = header_of("gemma-3-1b", body="Q8_0")
    streamed = choose_streamed(header, 10**12)
    total_bytes = sum(tensor.place.end - tensor.place.start for tensor in streamed)
    assert 400_000_000 < total_bytes < header.file_size_bytes
    assert choose_streamed(header, total_bytes) == streamed


@pytest.mark.parametrize("wanted_bytes", [10_000_000, 30_000_000, 60_000_000])
def test_one_kind_is_spread_evenly_over_the_layers(wanted_bytes: int) -> None:
    header = header_of("gemma-3-1b", body="Q8_0")  # 26 layers, ffn_down of 8.4 MB: three or four blocks
    names = [tensor.name for tensor in choose_streamed(header, wanted_bytes)]
    assert {name.split(".", 2)[2] for name in names} == {"ffn_down.weight"}
    layers = [int(name.split(".")[1]) for name in names]
    ends = [-1 - layers[0], *layers, 2 * header.block_count - 1 - layers[-1]]  # as if it went round
    gaps = [after - before for before, after in pairwise(ends)]
    assert max(gaps[1:-1], default=0) - min(gaps[1:-1], default=0) <= 1
    assert abs(gaps[0] - gaps[-1]) <= 2


def test_matrices_below_a_block_are_never_streamed() -> None:
    header = header_of("smollm2-135m", body="Q4_0")  # 0.5 MB each
    assert choose_streamed(header, 10**9) == ()
    assert plan_layout(header, repack=repacked_here, streamed_bytes=10**9).streamed == ()


def test_only_what_is_streamed_locks_the_rest() -> None:
    header = header_of("gemma-3-1b")
    assert not plan_layout(header, repack=repacked_here).lock
    layout = plan_layout(header, repack=repacked_here, streamed_bytes=10_000_000, window_bytes=99)
    assert layout.lock and layout.window_bytes == 99


# --- ranges and patterns -------------------------------------------------------------------------------


def test_neighbours_become_one_range_across_their_padding() -> None:
    ranges = [
        FileRange(1, 0, 10),
        FileRange(0, 5000, 6000),
        FileRange(0, 0, 900),
        FileRange(0, 928, 4000),
        FileRange(0, 6000, 6000),
        FileRange(0, 6000 + 4096, 20_000),
    ]
    expected = (FileRange(0, 0, 6000), FileRange(0, 10_096, 20_000), FileRange(1, 0, 10))
    assert merge_ranges(ranges) == expected
    assert merge_ranges(reversed(ranges)) == expected
    assert merge_ranges([]) == ()


def test_types_of_the_test_models_are_those_meant() -> None:
    kinds = Counter(tensor.type for tensor in header_of("gemma-3n-e2b").tensors)
    assert kinds[GgmlType.Q4_0] > 200


def test_the_first_rows_of_the_per_layer_embeddings_can_stay() -> None:
    header = header_of("gemma-3n-e2b")
    table = next(tensor for tensor in header.tensors if tensor.name == PLE_TENSOR)
    layout = plan_layout(header, repack=repacked_here, ple_locked_bytes=8_000_000)
    (kept,) = layout.ple_locked
    assert (kept.start, kept.end) == (table.offset_bytes, table.offset_bytes + 8_000_000)
    rest = next(place for place in layout.ple if place.start == kept.end)
    assert rest.end == table.offset_bytes + table.size_bytes
    whole = plan_layout(header, repack=repacked_here, ple_locked_bytes=10**12)
    assert whole.ple_locked[0].end == rest.end
    assert plan_layout(header, repack=repacked_here).ple_locked == ()
