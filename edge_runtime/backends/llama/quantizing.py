"""llama_model_quantize, its log and its progress as events: in the child process, or here.

An event is one of

    {"task": 0}                  the next ones are about this task
    {"log": [2, "size = ..."]}   ggml's log level, and what it was told
    {"written_bytes": 4096}      of the output so far
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .library import listening_to_log, native

Say = Callable[[dict[str, Any]], None]

_LOOK_EVERY_S = 0.25
_INT, _STRING = 0, 3  # source: enum llama_model_kv_override_type
_LONGEST_TEXT_BYTES = 127  # of llama_model_kv_override's val_str


def quantize_all(tasks: Sequence[Mapping[str, Any]], data: Iterator[bytes | memoryview], say: Say) -> bool:
    """Do tasks (see quantizer.py) one after the other; False when llama.cpp refused one.

    data: the numbers of their importance matrices as 32-bit floats, one tensor at a time.
    say: is called from more than one thread. Raises EngineUnavailable.
    """
    c = native()
    with listening_to_log(lambda level, text: say({"log": [level, text]})):
        for number, task in enumerate(tasks):
            say({"task": number})
            if not _quantize(c, task, data, say):
                return False
    return True


@contextmanager
def watching(output: Path | None, say: Say) -> Iterator[None]:
    """Tells how much is written: one table may take minutes, and the log says nothing meanwhile."""
    if output is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY_S):
            say({"written_bytes": output.stat().st_size if output.exists() else 0})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _quantize(c: Any, task: Mapping[str, Any], data: Iterator[bytes | memoryview], say: Say) -> bool:
    params = c.llama_model_quantize_default_params()
    params.ftype, params.nthread = task["file_type"], task["threads"]
    params.max_buf_size = task["buffer_bytes"]
    params.allow_requantize = True
    overrides = _overrides(c, task["overrides"])
    metadata = _metadata(c, task["metadata"])
    matrix = _importance_matrix(c, task["imatrix"], data)
    params.tt_overrides, params.kv_overrides, params.imatrix = overrides, metadata, matrix
    output = task["output"]
    params.dry_run = output is None
    names = os.fsencode(task["path"]), os.fsencode(output or "")
    with watching(Path(output) if output else None, say):
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


def _importance_matrix(c: Any, sizes: Sequence[tuple[str, int]], data: Iterator[bytes | memoryview]) -> Any:
    if not sizes:
        return None
    items = (c.llama_model_imatrix_data * (len(sizes) + 1))()
    for item, (name, size) in zip(items, sizes, strict=False):
        item.name, item.size = name.encode(), size
        item.data = (ctypes.c_float * size).from_buffer_copy(next(data))
    return items
