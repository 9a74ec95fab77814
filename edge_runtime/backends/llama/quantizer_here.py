"""The quantizer in this process, where no child process can be started.

The same calls with the same bound on memory, except that an assertion in llama.cpp ends
this process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from .quantizing import quantize_all

_LOOK_EVERY_S = 0.1
_MOST_DESCRIPTORS = 4096  # looked through where the system does not list them


def quantize_here(
    tasks: Sequence[Mapping[str, Any]],
    data: Iterable[memoryview],
    hear: Callable[[Mapping[str, Any]], None],
) -> bool:
    """quantize_all() in a thread; `hear` is called in this one. False: llama.cpp refused.

    Whatever leaves `hear` or interrupts this thread ends the quantizing, on Windows only when
    its file is complete: llama.cpp stops early when it cannot write, and in no other way.
    Raises EngineUnavailable.
    """
    outputs = [Path(task["output"]) for task in tasks if task["output"]]
    ours = _descriptors_of(outputs)
    work = _Work(tasks, iter(data))
    work.start()
    try:
        for event in work.events():
            hear(event)
    finally:
        while work.is_alive():
            _refuse_writes(_descriptors_of(outputs) - ours)
            work.join(_LOOK_EVERY_S)
    if work.failure is not None:
        raise work.failure
    return work.done


class _Work(threading.Thread):
    def __init__(self, tasks: Sequence[Mapping[str, Any]], data: Iterator[memoryview]) -> None:
        super().__init__(name="quantizer")
        self._tasks, self._data = tasks, data
        self._said: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self.done = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self.done = quantize_all(self._tasks, self._data, self._said.put)
        except BaseException as failure:  # the waiting thread raises it  # noqa: BLE001
            self.failure = failure
        finally:
            self._said.put(None)

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Until the work has ended. Ctrl-C gets through: no wait is longer than a moment."""
        while True:
            try:
                event = self._said.get(timeout=_LOOK_EVERY_S)
            except Empty:
                continue
            if event is None:
                self.join()
                return
            yield event


def _descriptors_of(outputs: Sequence[Path]) -> set[int]:
    """This process's descriptors of these files; none on Windows."""
    wanted = set()
    for output in outputs:
        with suppress(OSError):
            wanted.add(_identity(output.stat()))
    found = set()
    for number in _open_descriptors() if wanted and os.name == "posix" else ():
        with suppress(OSError):
            if _identity(os.fstat(number)) in wanted:
                found.add(number)
    return found


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _open_descriptors() -> Iterable[int]:
    try:
        return [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    except OSError:
        return range(_MOST_DESCRIPTORS)


def _refuse_writes(descriptors: Iterable[int]) -> None:
    """The descriptors stay open, so that llama.cpp can close them, but its next write fails."""
    for number in descriptors:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, number, inheritable=False)
        os.close(nothing)
