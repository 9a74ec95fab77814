"""The thread that reads weights ahead, on a real file; how far the model is, a test dictates.

The position is asked for by the thread itself, between two of its steps: what a test looks
at there nothing changes meanwhile.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.mapped_file import MappedFile, linux_only, mapped, write_random

from edge_runtime.memory.residency.first_pass import Position
from edge_runtime.memory.residency.mapping import FileRange, ModelMapping
from edge_runtime.memory.residency.streamer import WeightStreamer
from edge_runtime.memory.streaming import BLOCK_BYTES

pytestmark = linux_only
SIZE_BYTES = 64 << 20
TENSORS = 16  # of two blocks each; between them as much that stays out of it
TENSOR_BYTES = 2 * BLOCK_BYTES
PASS_BYTES = TENSORS * TENSOR_BYTES // 2
NODES = 10  # of a layer; its tensor is used in the middle


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "model.gguf"


@pytest.fixture(scope="module")
def content(path: Path) -> bytes:
    return write_random(path, SIZE_BYTES)


@dataclass
class Model:
    """Where a model that does not exist has come to."""

    position: Position = field(default_factory=lambda: Position(0, 0))
    watch: Callable[[], None] = lambda: None
    asked: int = 0
    failed: list[BaseException] = field(default_factory=list)

    def __call__(self) -> Position:
        self.asked += 1
        try:
            self.watch()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.failed.append(error)
        return self.position

    def go_to(self, layers: float, passes: int = 1) -> None:
        self.position = Position(passes, int(layers * NODES))

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
    return WeightStreamer([path], [mapping.pages(place) for place in streamed()], window_bytes, model)


def started(
    path: Path, window_bytes: int, model: Model, map_of: MappedFile, order: Sequence[int] = range(TENSORS)
) -> WeightStreamer:
    """It has seen a pass that touches the tensors in `order`, one a layer; the next begins."""
    streamer = make(path, window_bytes, model)
    streamer.start()
    walk_first_pass(model, map_of, order)
    model.go_to(0)
    model.settle()
    return streamer


def walk_first_pass(model: Model, map_of: MappedFile, order: Sequence[int]) -> None:
    for layer, number in enumerate(order):
        model.go_to(layer + 0.5, passes=0)
        map_of.touch_all(number * TENSOR_BYTES, number * TENSOR_BYTES + 1)
        model.settle()


def resident(map_of: MappedFile) -> list[int]:
    """Numbers of the tensors that are in memory."""
    found = {n: map_of.resident_bytes(place.start, place.end) for n, place in enumerate(streamed())}
    assert set(found.values()) <= {0, BLOCK_BYTES}
    return [number for number, size_bytes in found.items() if size_bytes]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_window_fills_and_then_waits(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = started(path, 4 * BLOCK_BYTES, model, map_of)
    assert resident(map_of) == [0, 1, 2, 3]
    assert streamer.read_bytes == 4 * BLOCK_BYTES
    streamer.close()


def test_what_was_used_goes_and_the_next_comes(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = started(path, 4 * BLOCK_BYTES, model, map_of)
    model.go_to(2)  # two layers are done
    model.settle()
    assert resident(map_of) == [2, 3, 4, 5]
    assert streamer.read_bytes == 6 * BLOCK_BYTES
    model.go_to(2.6)  # the third is using it
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
        done = min(model.position.passes * TENSORS * NODES + model.position.nodes + 3, 4 * TENSORS * NODES)
        model.position = Position(*divmod(done, TENSORS * NODES))

    streamer = started(path, window_bytes, model, map_of)
    model.watch = watch
    end_s = time.monotonic() + 20
    while model.position.passes < 4 and time.monotonic() < end_s:
        time.sleep(0.001)
    model.settle()
    assert most == window_bytes
    assert streamer.read_bytes == 3 * PASS_BYTES + window_bytes  # each once a pass, and the window ahead
    assert resident(map_of) == [0, 1, 2, 3, 4]
    streamer.close()


def test_a_window_wraps_around_the_end_of_a_pass(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = started(path, 4 * BLOCK_BYTES, model, map_of)
    for layers in range(1, TENSORS - 1):
        model.go_to(layers)
        model.settle()
    assert resident(map_of) == [0, 1, TENSORS - 2, TENSORS - 1]
    assert streamer.read_bytes == PASS_BYTES + 2 * BLOCK_BYTES
    streamer.close()


def test_pieces_that_come_too_late_are_skipped_and_dropped(path: Path, map_of: MappedFile) -> None:
    """A model that is faster than the device reads them itself: they must not pile up behind it."""
    model = Model()
    streamer = started(path, 4 * BLOCK_BYTES, model, map_of)
    map_of.touch_all(0, SIZE_BYTES)
    assert len(resident(map_of)) == TENSORS
    model.go_to(0, passes=4)
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
    for passes in range(3):
        for layer, place in enumerate(streamed()):
            model.go_to(layer + 0.5, passes)
            assert map_of.read(place.start, place.end) == content[place.start : place.end]
    assert map_of.read(0, SIZE_BYTES) == content
    streamer.close()
    assert map_of.read(0, SIZE_BYTES) == content


def test_a_tensor_of_many_blocks_is_read_in_blocks(path: Path, map_of: MappedFile) -> None:
    model = Model()
    (pages,) = ModelMapping([path]).pages(FileRange(0, 0, 8 * BLOCK_BYTES))
    streamer = WeightStreamer([path], [[pages]], 3 * BLOCK_BYTES, model)
    streamer.start()
    model.go_to(0.5, passes=0)
    map_of.touch_all(5 * BLOCK_BYTES, 6 * BLOCK_BYTES)
    model.settle()
    assert map_of.resident_bytes(0, 8 * BLOCK_BYTES) == 8 * BLOCK_BYTES  # it is being used
    model.go_to(0)
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
    streamer = started(path, 2 * BLOCK_BYTES, model, map_of)
    started_s = time.monotonic()
    streamer.close()
    assert time.monotonic() - started_s < 1
    asked = model.asked
    time.sleep(0.01)
    assert model.asked == asked


def test_the_thread_sleeps_while_there_is_nothing_to_do(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = started(path, 2 * BLOCK_BYTES, model, map_of)
    busy_s, started_s = os.times()[:2], time.monotonic()
    time.sleep(0.3)
    spent_s = sum(os.times()[:2]) - sum(busy_s)
    assert spent_s < 0.2 * (time.monotonic() - started_s)
    streamer.close()


# --- the first pass ---------------------------------------------------------------------------------


def test_the_first_pass_holds_only_what_it_is_using(path: Path, map_of: MappedFile) -> None:
    model = Model()
    map_of.touch_all(0, SIZE_BYTES)  # somebody read the file before
    streamer = make(path, 4 * BLOCK_BYTES, model)
    streamer.start()
    model.settle()
    assert resident(map_of) == []
    for layer in range(TENSORS):
        model.go_to(layer + 0.5, passes=0)
        map_of.touch_all(layer * TENSOR_BYTES, layer * TENSOR_BYTES + 1)
        model.settle()
        assert resident(map_of) == [layer]
    model.go_to(TENSORS, passes=0)
    model.settle()
    assert resident(map_of) == []
    streamer.close()


def test_the_order_is_the_one_it_was_seen_in(path: Path, map_of: MappedFile) -> None:
    order = [1, 0, 2, 4, 3, *range(5, TENSORS)]
    model = Model()
    streamer = started(path, 4 * BLOCK_BYTES, model, map_of, order)
    assert resident(map_of) == [0, 1, 2, 4]
    model.go_to(1)
    model.settle()
    assert resident(map_of) == [0, 2, 3, 4]
    streamer.close()


def test_a_first_pass_that_was_aborted_is_watched_again(path: Path, map_of: MappedFile) -> None:
    model = Model()
    streamer = make(path, 2 * BLOCK_BYTES, model)
    streamer.start()
    model.go_to(9.5, passes=0)  # another count than the next time
    map_of.touch_all(0, 1)
    model.settle()
    model.go_to(0, passes=0)
    model.settle()
    assert resident(map_of) == []
    walk_first_pass(model, map_of, range(TENSORS))
    model.go_to(1)
    model.settle()
    assert resident(map_of) == [1, 2]
    streamer.close()


def test_a_tensor_that_was_not_seen_goes_with_the_next(path: Path, map_of: MappedFile) -> None:
    model = Model()
    order = [number for number in range(TENSORS) if number not in (1, TENSORS - 1)]
    streamer = started(path, 4 * BLOCK_BYTES, model, map_of, order)
    model.go_to(1.6)  # the second that it saw, number 2, is in use
    model.settle()
    assert resident(map_of) == [1, 2, 3, 4]
    model.go_to(1.8)
    model.settle()
    assert resident(map_of) == [3, 4, 5, 6]
    streamer.close()
