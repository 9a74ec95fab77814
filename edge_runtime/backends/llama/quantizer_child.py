"""The quantizer's child process: calls llama_model_quantize and passes on its log.

Run as a program. Standard input: a line of JSON (see quantizer.py), then the importance
matrix as 32-bit floats. Standard output: a line of JSON for each event,

    {"task": 0}                  the next lines are about this one
    {"log": [2, "size = ..."]}   ggml's log level, and what it was told
    {"written_bytes": 4096}      of the output so far

Exit status 0, 1 when llama.cpp refuses, ENGINE_MISSING when it does not load, or death.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ...errors import EngineUnavailable
from .library import native

ENGINE_MISSING = 3
_LOOK_EVERY_S = 0.25
_INT, _STRING = 0, 3  # source: enum llama_model_kv_override_type
_LONGEST_TEXT_BYTES = 127  # of llama_model_kv_override's val_str


class Events:
    """What the parent hears. When it has died, and cannot clean up, the output goes with us."""

    def __init__(self) -> None:
        self._output: Path | None = None
        self._done = threading.Event()
        self._one_at_a_time = threading.Lock()

    def say(self, **event: Any) -> None:
        with self._one_at_a_time:
            try:
                sys.stdout.write(json.dumps(event) + "\n")
                sys.stdout.flush()
            except OSError:
                self._give_up()

    @contextmanager
    def watching(self, output: Path | None) -> Iterator[None]:
        """Tells how much is written: one table may take minutes, and the log says nothing meanwhile."""
        if output is None:
            yield
            return
        self._output = output
        watcher = threading.Thread(target=self._watch, args=(output,))
        watcher.start()
        try:
            yield
        finally:
            self._done.set()
            watcher.join()

    def _watch(self, output: Path) -> None:
        while not self._done.wait(_LOOK_EVERY_S):
            self.say(written_bytes=output.stat().st_size if output.exists() else 0)

    def _give_up(self) -> NoReturn:
        if self._output is not None:
            self._output.unlink(missing_ok=True)
        os._exit(1)


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of us: the parent decides
    tasks = json.loads(sys.stdin.buffer.readline())
    events = Events()
    try:
        c = native()
    except EngineUnavailable as error:
        print(error, file=sys.stderr)  # noqa: T201 - the parent reads it
        return ENGINE_MISSING
    callback = c.llama_log_callback(lambda level, text, _user: events.say(log=[level, _decoded(text)]))
    c.llama_log_set(callback, ctypes.c_void_p())
    for number, task in enumerate(tasks):
        events.say(task=number)
        if not _quantize(c, task, events):
            return 1
    return 0


def _quantize(c: Any, task: Mapping[str, Any], events: Events) -> bool:
    params = c.llama_model_quantize_default_params()
    params.ftype, params.nthread = task["file_type"], task["threads"]
    params.max_buf_size = task["buffer_bytes"]
    params.allow_requantize = True
    overrides = _overrides(c, task["overrides"])
    metadata = _metadata(c, task["metadata"])
    matrix = _importance_matrix(c, task["imatrix"])
    params.tt_overrides, params.kv_overrides, params.imatrix = overrides, metadata, matrix
    output = task["output"]
    params.dry_run = output is None
    names = os.fsencode(task["path"]), os.fsencode(output or "")
    with events.watching(Path(output) if output else None):
        return int(c.llama_model_quantize(*names, ctypes.byref(params))) == 0


def _overrides(c: Any, pairs: Sequence[tuple[str, int]]) -> Any:
    """Ends with an empty one, as llama.cpp wants all three lists."""
    items = (c.llama_model_tensor_override * (len(pairs) + 1))()
    for item, (pattern, number) in zip(items, pairs, strict=False):
        item.pattern, item.type = pattern.encode(), number
    return items


def _metadata(c: Any, values: Mapping[str, int | str]) -> Any:
    items = (c.llama_model_kv_override * (len(values) + 1))()
    for item, (key, value) in zip(items, values.items(), strict=False):
        item.key = key.encode()
        if isinstance(value, int):
            item.tag, item.value.val_i64 = _INT, value
        else:
            item.tag, item.value.val_str = _STRING, value.encode()[:_LONGEST_TEXT_BYTES]
    return items


def _importance_matrix(c: Any, sizes: Sequence[tuple[str, int]]) -> Any:
    """Reads the numbers from standard input."""
    if not sizes:
        return None
    items = (c.llama_model_imatrix_data * (len(sizes) + 1))()
    for item, (name, size) in zip(items, sizes, strict=False):
        raw = sys.stdin.buffer.read(4 * size)
        item.name, item.size = name.encode(), size
        item.data = (ctypes.c_float * size).from_buffer_copy(raw)
    return items


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
