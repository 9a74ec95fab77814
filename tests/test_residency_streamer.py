"""The thread that reads weights ahead, on a real file; how far the model is, a test dictates.

The position is asked for by the thread itself, between two of its steps: what a test looks
at there nothing changes meanwhile.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mapped_file import MappedFile, linux_only, mapped, write_random

from edge_runtime.memory.streaming import BLOCK_BYTES
from edge_runtime.residency.mapping import FileRange, ModelMapping
from edge_runtime.residency.streamer import Piece, WeightStreamer

pytestmark = linux_only
SIZE_BYTES = 64 << 20
TENSORS = 16  # of two blocks each; between them as much that stays out of it
TENSOR_BYTES = 2 * BLOCK_BYTES
PASS_BYTES = TENSORS * TENSOR_BYTES // 2


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "model.gguf"


@pytest.fixture(scope="module")
def content(path: Path) -> bytes:
    return write_random(path, SIZE_BYTES)


@dataclass
class Model:
    """Where a model that does not exist has come to."""

    position: float = 0.0
    watch: Callable[[], None] = lambda: None
    asked: int = 0
    failed: list[BaseException] = field(default_factory=list)

    def __call__(self) -> float:
        self.asked += 1
        try:
            self.watch()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.failed.append(error)
        return self.position

    def settle(self) -> None:
        """Until the thread has nothing to do: it then asks, and asks again."""
        before, end_s = self.asked, time.monotonic() + 20
        while self.asked < before + 3 * TENSORS + 20:
            assert time.monotonic() < end_s, "the thread stands still"
            time.sleep(0.001)
        assert not self.failed, self.failed[0]


@pytest.fixture
def map_of(path: Path, content: bytes) -> Iterator[MappedFile]:
    with mapped(path) as opened:
        yield opened


def streamed() -> list[FileRange]:
    """Every other block, as a tensor of one block each."""
    return [
        FileRange(0, number * TENSOR_BYTES, number * TENSOR_BYTES + BLOCK_BYTES) for number in range(TENSORS)
    ]


def make(path: Path, window_bytes: int, model: Model) -> WeightStreamer:
    mapping = ModelMapping([path])
    pieces = [
        Piece(pages, (number + 1) / TENSORS)
        for number, place in enumerate(streamed())
        for pages in mapping.pages(place)
    ]
    return WeightStreamer([path], pieces, window_bytes, model)


def resident(map_of: MappedFile) -> list[int]:
    """Numbers of the tensors that are in memory."""
    found = {n: map_of.resident_bytes(place.start, place.end) for n, place in enumerate(streamed())}
    assert set(found.values()) <= {0, BLOCK_BYTES}
    return [number for number, size_bytes in found.items() if size_bytes]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_window_fills_and_then_waits(path: Path, map_of: MappedFile) -> None:
    model = Model()
    map_of.touch_all(0, SIZE_BYTES)
    streamer = make(path, 4 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    assert resident(map_of) == [0, 1, 2, 3]
    assert streamer.read_bytes == 4 * BLOCK_BYTES
    streamer.close()


def test_what_was_used_goes_and_the_next_comes(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = make(path, 4 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    model.position = 2 / TENSORS  # two layers are done
    model.settle()
    assert resident(map_of) == [2, 3, 4, 5]
    assert streamer.read_bytes == 6 * BLOCK_BYTES
    model.position = 2.5 / TENSORS  # in the middle of the third
    model.settle()
    assert resident(map_of) == [2, 3, 4, 5]
    streamer.close()


def test_the_window_is_never_exceeded_in_whole_passes(path: Path, map_of: MappedFile) -> None:
    """All pieces go by in three passes, in steps that are no whole layers."""
    window_bytes, most = 5 * BLOCK_BYTES, 0
    model = Model()

    def watch() -> None:
        nonlocal most
        most = max(most, len(resident(map_of)) * BLOCK_BYTES)
        model.position = min(model.position + 0.3 / TENSORS, 3.0)

    model.watch = watch
    streamer = make(path, window_bytes, model)
    streamer.start()
    end_s = time.monotonic() + 20
    while model.position < 3.0 and time.monotonic() < end_s:
        time.sleep(0.001)
    model.settle()
    assert most == window_bytes
    assert streamer.read_bytes == 3 * PASS_BYTES + window_bytes  # each once a pass, and the window ahead
    assert resident(map_of) == [0, 1, 2, 3, 4]
    streamer.close()


def test_a_window_wraps_around_the_end_of_a_pass(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = make(path, 4 * BLOCK_BYTES, model)
    streamer.start()
    for layers in range(1, TENSORS - 1):
        model.position = layers / TENSORS
        model.settle()
    assert resident(map_of) == [0, 1, TENSORS - 2, TENSORS - 1]
    assert streamer.read_bytes == PASS_BYTES + 2 * BLOCK_BYTES
    streamer.close()


def test_pieces_that_come_too_late_are_skipped_and_dropped(path: Path, map_of: MappedFile) -> None:
    """A model that is faster than the device reads them itself: they must not pile up behind it."""
    model = Model()
    streamer = make(path, 4 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    map_of.touch_all(0, SIZE_BYTES)
    assert len(resident(map_of)) == TENSORS
    model.position = 3.0
    model.settle(), model.settle()
    assert resident(map_of) == [0, 1, 2, 3]
    assert streamer.read_bytes == 8 * BLOCK_BYTES  # nothing for the passes that were over
    streamer.close()


def test_what_is_read_through_the_map_is_always_the_file(
    path: Path, map_of: MappedFile, content: bytes
) -> None:
    model = Model()
    streamer = make(path, 4 * BLOCK_BYTES, model)
    streamer.start()
    for _ in range(2):  # passes
        for place in streamed():
            assert map_of.read(place.start, place.end) == content[place.start : place.end]
            model.position += 1 / TENSORS
    assert map_of.read(0, SIZE_BYTES) == content
    streamer.close()
    assert map_of.read(0, SIZE_BYTES) == content


def test_a_tensor_of_many_blocks_is_read_in_blocks(path: Path, map_of: MappedFile) -> None:
    model = Model()
    (pages,) = ModelMapping([path]).pages(FileRange(0, 0, 8 * BLOCK_BYTES))
    streamer = WeightStreamer([path], [Piece(pages, 1.0)], 3 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    assert streamer.read_bytes == map_of.resident_bytes(0, 8 * BLOCK_BYTES) == 3 * BLOCK_BYTES
    streamer.close()


def test_closing_leaves_no_thread_and_no_descriptor(path: Path, map_of: MappedFile) -> None:
    threads, before = threading.active_count(), descriptors()
    for _ in range(3):
        streamer = make(path, SIZE_BYTES, Model())
        streamer.start()
        streamer.close()
        streamer.close()
    never_started = make(path, SIZE_BYTES, Model())
    never_started.close()
    assert (threading.active_count(), descriptors()) == (threads, before)


def test_closing_does_not_wait_for_a_model_that_stands_still(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = make(path, 2 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    started_s = time.monotonic()
    streamer.close()
    assert time.monotonic() - started_s < 1
    asked = model.asked
    time.sleep(0.01)
    assert model.asked == asked


def test_the_thread_sleeps_while_there_is_nothing_to_do(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = make(path, 2 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    busy_s, started_s = os.times()[:2], time.monotonic()
    time.sleep(0.3)
    spent_s = sum(os.times()[:2]) - sum(busy_s)
    assert spent_s < 0.2 * (time.monotonic() - started_s)
    streamer.close()
