"""Pages of a real file in a real map: found, dropped, brought back. Nothing is asked of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.mapped_file import PAGE_BYTES, MappedFile, linux_only, mapped, write_random

from edge_runtime.device.process_memory import mapped_bytes, process_memory
from edge_runtime.memory.residency.mapping import FileRange, ModelMapping, mapped_pages
from edge_runtime.memory.residency.pages import (
    Pages,
    expect_any_access,
    expect_blocks,
    expect_random_access,
    lock,
    pages_can_be_released,
    read_in,
    release,
    unlock,
    unmap,
    unmap_and_forget,
)
from edge_runtime.memory.streaming import BLOCK_BYTES

pytestmark = linux_only
SIZE_BYTES = 8 << 20
MIB = 1 << 20


@pytest.fixture(params=["model.gguf", "my model (1) of 2.gguf"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.fixture
def content(path: Path) -> bytes:
    return write_random(path, SIZE_BYTES)


def whole(path: Path) -> Pages:
    (pages,) = ModelMapping([path]).all_pages()
    return pages


def in_this_process(map_of: MappedFile) -> int:
    return mapped_bytes(map_of.address, map_of.address + map_of.size_bytes) or 0


# --- where the file is ----------------------------------------------------------------


def test_a_file_is_found_where_it_is_mapped(path: Path, content: bytes) -> None:
    assert not ModelMapping([path]).found
    with mapped(path) as map_of:
        mapping = ModelMapping([path])
        assert mapping.found
        assert mapping.all_pages() == [Pages(map_of.address, SIZE_BYTES, 0, 0)]
    assert not ModelMapping([path]).found


def test_every_map_of_a_file_is_found_and_unmapped(path: Path, content: bytes) -> None:
    """onnxruntime maps each large weight by itself."""
    with mapped(path) as one, mapped(path) as other:
        one.unmap_hole(2 * MIB, 5 * MIB)
        found = mapped_pages(path)
        assert sorted(pages.length_bytes for pages in found) == [2 * MIB, 3 * MIB, 8 * MIB]
        for pages in found:
            read_in(pages)
        assert in_this_process(other) == SIZE_BYTES
        for pages in found:
            unmap(pages)
        assert in_this_process(other) == 0
    assert mapped_pages(path) == []


def test_ranges_are_cut_to_whole_pages(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        mapping = ModelMapping([path])
        found = mapping.pages(FileRange(0, PAGE_BYTES + 1, 4 * PAGE_BYTES - 1))
        assert found == [Pages(map_of.address + 2 * PAGE_BYTES, PAGE_BYTES, 0, 2 * PAGE_BYTES)]
        assert mapping.pages(FileRange(0, PAGE_BYTES + 1, 2 * PAGE_BYTES)) == []  # less than a page
        assert mapping.pages(FileRange(0, SIZE_BYTES, SIZE_BYTES + MIB)) == []


def test_a_map_with_a_hole_is_two_pieces(path: Path, content: bytes) -> None:
    """llama.cpp unmaps what it has copied."""
    with mapped(path) as map_of:
        map_of.unmap_hole(2 * MIB, 5 * MIB)
        mapping = ModelMapping([path])
        pieces = [(page.file_offset, page.length_bytes) for page in mapping.all_pages()]
        assert pieces == [(0, 2 * MIB), (5 * MIB, 3 * MIB)]
        (before, behind) = mapping.pages(FileRange(0, MIB, 6 * MIB))
        assert (before.address, before.length_bytes) == (map_of.address + MIB, MIB)
        assert (behind.address, behind.length_bytes) == (map_of.address + 5 * MIB, MIB)
        assert mapping.pages(FileRange(0, 3 * MIB, 4 * MIB)) == []


def test_a_map_that_advice_has_cut_is_still_one_file(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        (middle,) = ModelMapping([path]).pages(FileRange(0, 3 * MIB, 4 * MIB))
        expect_random_access(middle)
        pieces = ModelMapping([path]).all_pages()
        assert len(pieces) == 3
        assert sum(piece.length_bytes for piece in pieces) == SIZE_BYTES
        assert all(piece.address - map_of.address == piece.file_offset for piece in pieces)
        assert len(ModelMapping([path]).pages(FileRange(0, 2 * MIB, 5 * MIB))) == 3


def test_of_two_maps_the_larger_counts(path: Path, content: bytes) -> None:
    with mapped(path) as one, mapped(path) as other:
        one.unmap_hole(MIB, SIZE_BYTES - PAGE_BYTES)
        (found,) = ModelMapping([path]).all_pages()
        assert found.address == other.address


def test_a_link_to_the_file_finds_it_and_its_namesake_does_not(
    path: Path, content: bytes, tmp_path: Path
) -> None:
    link = tmp_path / "link.gguf"
    link.symlink_to(path)
    (tmp_path / "other").mkdir()
    namesake = tmp_path / "other" / path.name
    namesake.write_bytes(content)
    with mapped(path):
        assert ModelMapping([link]).found
        assert not ModelMapping([namesake]).found
        assert not ModelMapping([path, namesake]).found  # all of them, or none
        assert not ModelMapping([tmp_path / "missing.gguf"]).found


def test_parts_are_consecutive_and_whole_pages() -> None:
    parts = Pages(PAGE_BYTES, 10 * PAGE_BYTES, 3, 7 * PAGE_BYTES).parts(4 * PAGE_BYTES + 5)
    assert [part.length_bytes // PAGE_BYTES for part in parts] == [4, 4, 2]
    assert [part.file_offset // PAGE_BYTES for part in parts] == [7, 11, 15]
    assert [part.address // PAGE_BYTES for part in parts] == [1, 5, 9]
    assert {part.file_index for part in parts} == {3}


# --- in memory, or not -----------------------------------------------------------------


def test_released_pages_are_gone_and_come_back_right(path: Path, content: bytes) -> None:
    assert pages_can_be_released()
    with mapped(path) as map_of:
        map_of.touch_all(0, SIZE_BYTES)
        assert map_of.resident_bytes() == in_this_process(map_of) == SIZE_BYTES
        (middle,) = ModelMapping([path]).pages(FileRange(0, 2 * MIB, 6 * MIB))
        release(middle)
        assert map_of.resident_bytes(2 * MIB, 6 * MIB) == 0
        assert in_this_process(map_of) == SIZE_BYTES - 4 * MIB
        assert map_of.read(0, SIZE_BYTES) == content


def test_read_in_brings_exactly_these_pages(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        expect_random_access(pages := whole(path))
        release(pages)
        (middle,) = ModelMapping([path]).pages(FileRange(0, 2 * MIB, 3 * MIB))
        read_in(middle, exactly=True)
        assert map_of.resident_bytes() == in_this_process(map_of) == MIB
        assert map_of.read(2 * MIB, 3 * MIB) == content[2 * MIB : 3 * MIB]


def test_a_random_touch_reads_one_page(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        expect_random_access(pages := whole(path))
        release(pages)
        assert map_of.read(3 * MIB, 3 * MIB + 10) == content[3 * MIB : 3 * MIB + 10]
        assert map_of.resident_bytes() == in_this_process(map_of) == PAGE_BYTES


def test_any_access_undoes_random_access(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        expect_random_access(pages := whole(path))
        expect_any_access(pages)
        assert len(ModelMapping([path]).all_pages()) == 1
        assert map_of.read(0, SIZE_BYTES) == content


def test_a_touch_in_blocks_reads_its_block_alone(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        pages = whole(path)
        (blocks,) = ModelMapping([path]).pages(FileRange(0, BLOCK_BYTES, 3 * BLOCK_BYTES))
        if not expect_blocks(blocks):
            pytest.skip("this kernel does not read files in blocks")
        release(pages)
        place = BLOCK_BYTES + 5 * PAGE_BYTES
        assert map_of.read(place, place + 10) == content[place : place + 10]
        assert map_of.resident_bytes(0, BLOCK_BYTES) == map_of.resident_bytes(2 * BLOCK_BYTES) == 0
        assert map_of.resident_bytes(BLOCK_BYTES, 2 * BLOCK_BYTES) >= PAGE_BYTES


def test_forgotten_pages_are_gone_and_come_back_right(path: Path, content: bytes) -> None:
    with mapped(path) as map_of, path.open("rb") as file:
        map_of.touch_all(0, SIZE_BYTES)
        (middle,) = ModelMapping([path]).pages(FileRange(0, 2 * MIB, 4 * MIB))
        unmap_and_forget(middle, file.fileno())
        assert map_of.resident_bytes(2 * MIB, 4 * MIB) == 0
        assert map_of.resident_bytes() == SIZE_BYTES - 2 * MIB
        assert map_of.read(0, SIZE_BYTES) == content


def test_locked_pages_stay_until_they_are_unlocked(path: Path, content: bytes) -> None:
    with mapped(path) as map_of:
        pages = whole(path)
        (start,) = ModelMapping([path]).pages(FileRange(0, 0, MIB))
        before = process_memory().locked_bytes or 0
        if not lock(start):
            pytest.skip("RLIMIT_MEMLOCK is below 1 MiB")
        assert (process_memory().locked_bytes or 0) - before == MIB
        release(pages)
        assert map_of.resident_bytes(0, MIB) == MIB
        unlock(start)
        assert (process_memory().locked_bytes or 0) == before
        release(pages)
        assert map_of.resident_bytes(0, MIB) == 0


def test_a_range_is_counted_also_where_its_neighbours_have_the_same_advice(
    path: Path, content: bytes
) -> None:
    """Tables that lie beside repacked weights are in one map with them, as smaps shows it.

    Only whole maps used to be counted: the cache of rows then counted 0, and was never trimmed.
    """
    with mapped(path) as map_of:
        expect_random_access(pages := whole(path))
        release(pages)
        map_of.touch_all(3 * MIB, 4 * MIB)
        table = map_of.address + 2 * MIB, map_of.address + 6 * MIB
        assert mapped_bytes(*table) == MIB
        assert mapped_bytes(map_of.address, table[0]) in (0, MIB)  # at most what the map holds


def test_nothing_is_done_with_no_pages() -> None:
    nothing = Pages(0, 0, 0, 0)
    release(nothing), read_in(nothing, exactly=True)
    assert nothing.parts(BLOCK_BYTES) == []
