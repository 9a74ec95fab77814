"""Watching the process: what the system says is dictated, what is done about it is recorded."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import edge_runtime.memory.residency.monitor as monitor_module
from edge_runtime.memory.residency import MemoryMonitor, ResidencyKeeper, ResidencyLayout
from edge_runtime.memory.residency.mapping import FileRange

MB = 1_000_000
BUDGET_BYTES = 1000 * MB


class Process:
    """What it holds, and what can be made of it."""

    current: Process

    def __init__(self, anonymous_mb: int = 0, file_mb: int = 0, rows_mb: int = 0) -> None:
        self.anonymous_mb, self.file_mb, self.rows_mb = anonymous_mb, file_mb, rows_mb
        self.freed_mb = 0  # of anonymous_mb, what trimming the heap gives back
        self.looked = 0
        self.steps: list[str] = []
        Process.current = self

    def look(self) -> tuple[int, int]:
        self.looked += 1
        return self.anonymous_mb * MB, (self.file_mb + self.rows_mb) * MB

    def trim_heap(self) -> None:
        self.steps.append("heap")
        self.anonymous_mb -= self.freed_mb
        self.freed_mb = 0


class Keeper(ResidencyKeeper):
    """Its pages are numbers."""

    def __init__(self, process: Process, cap_mb: int | None) -> None:
        cap_bytes = None if cap_mb is None else cap_mb * MB
        super().__init__(
            ResidencyLayout((Path("model"),), (), ple=(FileRange(0, 0, 1),), ple_cache_bytes=cap_bytes)
        )
        self.active, self._process = True, process
        self.counted = 0

    def trim_ple(self) -> None:
        self._process.steps.append("rows")
        self._process.rows_mb = 0

    def ple_resident_bytes(self) -> int:
        self.counted += 1
        return self._process.rows_mb * MB


def monitor(
    process: Process, *, budget_bytes: int | None = BUDGET_BYTES, base_mb: int = 10**6
) -> MemoryMonitor:
    """Without its thread: a test looks when it likes."""
    watched = MemoryMonitor(budget_bytes, base_bytes=base_mb * MB, look=process.look, interval_s=3600)
    process.steps.clear()
    return watched


@pytest.fixture(autouse=True)
def heaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """trim_heap() frees what the test's process says it does."""
    monkeypatch.setattr(monitor_module, "trim_heap", lambda: Process.current.trim_heap())


# --- what counts ---------------------------------------------------------------------------


def test_both_kinds_count_and_the_peak_stays() -> None:
    process = Process(300, 200)
    watched = monitor(process)
    assert watched.look()
    assert (watched.anonymous_bytes, watched.file_bytes, watched.used_bytes) == (300 * MB, 200 * MB, 500 * MB)
    process.anonymous_mb = 100
    watched.look()
    assert (watched.used_bytes, watched.peak_bytes) == (300 * MB, 500 * MB)


def test_what_a_program_held_before_is_not_held_against_the_budget() -> None:
    process = Process(anonymous_mb=700, file_mb=100)
    watched = monitor(process, base_mb=60)  # of the 800, 740 are the program's
    process.anonymous_mb += 900
    watched.look()
    assert watched.used_bytes == 960 * MB
    assert not watched.exceeded
    process.anonymous_mb += 100
    watched.look()
    assert watched.used_bytes == 1060 * MB
    assert watched.exceeded


def test_a_program_that_frees_its_own_does_not_make_it_less_than_nothing() -> None:
    process = Process(anonymous_mb=800)
    watched = monitor(process, base_mb=0)
    process.anonymous_mb = 100
    watched.look()
    assert watched.used_bytes == 0


def test_a_small_process_has_no_credit() -> None:
    """Less held than planned for Python and libraries: the rest of it is still to come."""
    process = Process(anonymous_mb=50)
    watched = monitor(process, base_mb=100)
    process.anonymous_mb = 1001
    watched.look()
    assert watched.exceeded


# --- making room -----------------------------------------------------------------------------


def test_below_the_budget_nothing_is_done() -> None:
    process = Process(979)
    watched = monitor(process)
    watched.look()
    assert process.steps == []
    assert watched.trim_count == 0


def test_rows_go_first_as_they_come_back_by_themselves() -> None:
    process = Process(700, 200, rows_mb=90)
    watched = monitor(process)
    watched.start(Keeper(process, None))
    assert process.steps == ["heap", "rows"]  # what loading has freed, and then the rows alone
    assert watched.used_bytes == 900 * MB
    watched.close()


def test_the_heap_is_trimmed_where_the_rows_were_not_enough() -> None:
    process = Process(900, rows_mb=20)
    watched = monitor(process)
    watched.start(Keeper(process, None))
    process.steps.clear()
    process.anonymous_mb, process.freed_mb = 1050, 100
    watched.look()
    watched.close()
    assert process.steps == ["rows", "heap"]
    assert watched.used_bytes == 950 * MB
    assert watched.trim_count == 1
    assert not watched.exceeded


def test_exceeded_for_as_long_as_no_step_helps() -> None:
    process = Process(1200)
    watched = monitor(process)
    process.freed_mb = 10
    watched.look()
    assert process.steps == ["heap"]
    assert watched.exceeded
    process.anonymous_mb = 900
    watched.look()
    assert not watched.exceeded


def test_close_to_the_budget_is_not_over_it() -> None:
    process = Process(990)
    watched = monitor(process)
    watched.look()
    assert process.steps == ["heap"]
    assert not watched.exceeded


def test_without_a_budget_nothing_is_ever_too_much() -> None:
    process = Process(10**6)
    watched = monitor(process, budget_bytes=None)
    watched.look()
    assert process.steps == []
    assert not watched.exceeded


# --- the cache of rows -----------------------------------------------------------------------


def test_rows_over_their_cap_are_trimmed_and_those_below_stay() -> None:
    process = Process(100, 300)
    watched, keeper = monitor(process), Keeper(process, cap_mb=32)
    watched.start(keeper)
    process.rows_mb = 32
    watched.look()
    assert process.steps == ["heap"]  # what loading has freed
    process.rows_mb = 33
    watched.look()
    assert process.steps == ["heap", "rows"]
    assert (watched.trim_count, watched.file_bytes) == (1, 300 * MB)
    watched.close()


def test_rows_are_not_even_counted_until_the_files_part_has_grown_by_the_cap() -> None:
    process = Process(100, 300)
    watched, keeper = monitor(process), Keeper(process, cap_mb=32)
    watched.start(keeper)
    for rows_mb in (10, 20, 30):
        process.rows_mb = rows_mb
        watched.look()
    assert keeper.counted == 0
    watched.close()


def test_pages_of_other_files_do_not_count_as_rows() -> None:
    process = Process(100, 300)
    watched, keeper = monitor(process), Keeper(process, cap_mb=32)
    watched.start(keeper)
    process.file_mb, process.rows_mb = 400, 20
    watched.look()
    assert process.steps == ["heap"]
    watched.close()


@pytest.mark.parametrize("active", [True, False])
def test_no_cap_or_an_idle_keeper_trims_nothing(active: bool) -> None:
    process = Process(100, 300, rows_mb=500)
    watched, keeper = monitor(process, budget_bytes=None), Keeper(process, None if active else 32)
    keeper.active = active
    watched.start(keeper)
    process.rows_mb += 100
    watched.look()
    assert process.steps == ["heap"]
    watched.close()


# --- the thread -------------------------------------------------------------------------------


def test_the_thread_looks_by_itself_and_ends_with_close() -> None:
    process, before = Process(100), threading.active_count()
    watched = MemoryMonitor(BUDGET_BYTES, base_bytes=10**12, look=process.look, interval_s=0.001)
    watched.start(None)
    process.anonymous_mb = 2000
    end_s = time.monotonic() + 10
    while not watched.exceeded and time.monotonic() < end_s:
        time.sleep(0.001)
    assert watched.exceeded
    watched.close()
    watched.close()
    assert threading.active_count() == before
    looked = process.looked
    time.sleep(0.01)
    assert process.looked == looked


def test_a_file_that_cannot_be_read_once_does_not_end_the_thread() -> None:
    answers = iter([(1, 1), (1, 1), OSError("gone"), OSError("gone")])

    def look() -> tuple[int, int]:
        answer = next(answers, (7, 7))
        if isinstance(answer, OSError):
            raise answer
        return answer

    watched = MemoryMonitor(None, base_bytes=MB, look=look, interval_s=0.001)
    watched.start(None)
    end_s = time.monotonic() + 10
    while watched.used_bytes != 14 and time.monotonic() < end_s:
        time.sleep(0.001)
    assert watched.used_bytes == 14
    watched.close()


def test_where_the_system_does_not_tell_there_is_no_thread() -> None:
    before = threading.active_count()
    watched = MemoryMonitor(BUDGET_BYTES, look=lambda: None)
    watched.start(None)
    assert threading.active_count() == before
    assert not watched.look()
    assert not watched.exceeded
    watched.close()
