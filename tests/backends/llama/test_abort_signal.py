"""The functions that llama.cpp calls between two nodes, called as it calls them: by their address."""

from __future__ import annotations

import ctypes
import threading
import time

import pytest
from support.mapped_file import linux_only

from edge_runtime.backends.llama.abort_signal import (
    AbortSignal,
    CountingSignal,
    FlagSignal,
    counting_signal,
)

# As ggml_abort_callback, but for its result: bool is the lowest byte of what these return.
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)
BOTH = [FlagSignal, pytest.param(CountingSignal, marks=linux_only)]


def ask(signal: AbortSignal, times: int = 1) -> list[bool]:
    shall_stop = _CALLBACK(signal.callback)
    return [shall_stop(signal.data) for _ in range(times)]


@pytest.mark.parametrize("kind", BOTH)
def test_it_says_go_on_until_it_is_aborted(kind: type[FlagSignal | CountingSignal]) -> None:
    signal = kind()
    signal.arm()
    assert ask(signal, 100) == [False] * 100
    signal.abort()
    assert ask(signal, 100) == [True] * 100


@pytest.mark.parametrize("kind", BOTH)
def test_arming_forgets_an_earlier_abort(kind: type[FlagSignal | CountingSignal]) -> None:
    signal = kind()
    for _ in range(3):
        signal.abort()
        signal.abort()
        signal.arm()
        assert ask(signal, 3) == [False] * 3


@pytest.mark.parametrize("kind", BOTH)
def test_another_thread_may_abort(kind: type[FlagSignal | CountingSignal]) -> None:
    signal = kind()
    signal.arm()
    thread = threading.Timer(0.02, signal.abort)
    thread.start()
    end_s = time.monotonic() + 10
    while not ask(signal)[0]:
        assert time.monotonic() < end_s
    thread.join()


@linux_only
def test_passes_are_counted_and_the_nodes_of_the_running_one() -> None:
    signal = CountingSignal()
    assert signal.position == (0, 0)
    signal.arm()
    assert ask(signal, 44) == [False] * 44
    assert signal.position == (0, 44)
    signal.arm()
    assert signal.position == (1, 0)
    ask(signal, 10)
    assert signal.position == (1, 10)


@linux_only
def test_position_never_goes_back_and_arming_without_a_pass_changes_nothing() -> None:
    signal = CountingSignal()
    positions = []
    for nodes in (10, 12, 0, 9, 11):
        signal.arm()
        for _ in range(nodes):
            ask(signal)
            positions.append(signal.position)
    assert positions == sorted(positions)
    signal.arm(), signal.arm(), signal.arm()
    assert signal.position == (4, 0)


@linux_only
def test_an_aborted_pass_does_not_count() -> None:
    signal = CountingSignal()
    for _ in range(2):
        signal.arm()
        ask(signal, 24)
    signal.abort()
    assert ask(signal) == [True]
    assert signal.position == (1, 0)
    signal.arm()
    assert signal.position == (1, 0)
    ask(signal, 5)
    assert signal.position == (1, 5)


@linux_only
def test_linux_has_one() -> None:
    assert isinstance(counting_signal(), CountingSignal)
