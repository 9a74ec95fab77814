"""llama.cpp's own quantizer, in a child process: an assertion there ends the child, not us.

Where no child process can be started it runs here: see quantizer_here.py.

First which type each tensor would get, which reads no weight; then the quantizing, with
exactly the types that were decided on.

Source: llama.cpp at 0c1e57098, src/llama-quant.cpp.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...device.children import ChildEnd, ChildStream
from ...device.children.ending import REFUSED
from ...errors import ChildUnavailable, ConversionError, EngineUnavailable
from ...gguf.types import GgmlType
from ...values.display_text import one_line
from .quantizer_child import ENGINE_MISSING
from .quantizer_here import quantize_here
from .quantizer_log import TENSOR_LINE, TypeAnswer, reader_of

# llama.cpp takes a tensor apart in slabs of rows that fit this. Gemma 3n E2B in BF16, whose per-layer
# embeddings are one tensor of 4 GB: 114 MiB anonymous in the child at its peak, 5748 MiB with llama.cpp's
# own 8 GiB here; larger slabs are no faster.
BUFFER_BYTES = 64 << 20
_QUANTIZED = 7  # any quantized llama_ftype: types for single tensors count beside no other
_ERROR = 4  # source: enum ggml_log_level
_WORDS = 400  # characters of llama.cpp's own that an error repeats

Overrides = Sequence[tuple[str, GgmlType]]  # a tensor's type by a regular expression; the first that fits


@dataclass(frozen=True)
class TypeQuestion:
    """What llama.cpp is asked: the types of a file like this."""

    file_type: int  # llama_ftype: which mixture
    overrides: Overrides = ()
    has_matrix: bool = False  # with an importance matrix some mixtures differ


@dataclass(frozen=True)
class QuantizeTask:
    path: Path  # the first file of a split set
    output: Path  # is overwritten, and left as it is when something goes wrong
    types: Overrides  # for all tensors whose type is not to be llama.cpp's choice
    metadata: Mapping[str, int | str]  # added or replaced; integers become UINT32
    threads: int
    matrix: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # mean squares by tensor


def planned_types(
    path: Path, questions: Sequence[TypeQuestion], *, children: bool | None = None
) -> list[TypeAnswer]:
    """llama.cpp's answer to each question; half a second for all of them.

    children: see why_no_children(). Raises ConversionError with llama.cpp's last words when
    it refuses the file or its process dies of it, EngineUnavailable when it is not installed.
    """
    tasks = [_task(path, None, question.file_type, question.overrides) for question in questions]
    for task, question in zip(tasks, questions, strict=True):
        task["imatrix"] = list(_NO_MATRIX) if question.has_matrix else []
    answers = [TypeAnswer() for _ in questions]
    data = [_NO_DATA for question in questions if question.has_matrix]
    _Work(path, children).run(tasks, data, reader_of(answers))
    return answers


def run_quantizer(
    task: QuantizeTask, written: Callable[[int], None], *, children: bool | None = None
) -> None:
    """Writes task.output; `written` hears now and then how many bytes of it there are.

    children: see why_no_children(). Raises as planned_types() does; whatever ends it early,
    KeyboardInterrupt too, ends the quantizing.
    """
    native = _task(task.path, task.output, _QUANTIZED, task.types)
    native["threads"], native["metadata"] = task.threads, dict(task.metadata)
    # A matrix of nothing where there is none: without any, llama.cpp refuses to copy the smallest types.
    native["imatrix"] = [(name, values.size) for name, values in task.matrix.items()] or _NO_MATRIX
    data = [np.ascontiguousarray(values, "<f4").data for values in task.matrix.values()] or [_NO_DATA]

    def hear(event: Mapping[str, Any]) -> None:
        if "written_bytes" in event:
            written(event["written_bytes"])

    _Work(task.path, children).run([native], data, hear)


_NO_MATRIX = [("no tensor", 1)]
_NO_DATA = memoryview(bytes(4))


def _task(path: Path, output: Path | None, file_type: int, overrides: Overrides) -> dict[str, Any]:
    return {
        "path": str(path),
        "output": None if output is None else str(output),
        "file_type": file_type,
        "overrides": [(pattern, int(kind)) for pattern, kind in overrides],
        "threads": 1,
        "metadata": {},
        "imatrix": [],
        "buffer_bytes": BUFFER_BYTES,
    }


# --- the work --------------------------------------------------------------------------------


class _Work:
    """Runs once. Remembers what an error should repeat."""

    def __init__(self, path: Path, children: bool | None) -> None:
        self._path = path
        self._children = children
        self._tensor = ""  # the one it is at
        self._complaints = ""

    def run(
        self,
        tasks: Sequence[Mapping[str, Any]],
        data: Sequence[memoryview],
        hear: Callable[[Mapping[str, Any]], None],
    ) -> None:
        def remember(event: Mapping[str, Any]) -> None:
            self._remember(event)
            hear(event)

        try:
            end = self._run_child(tasks, data, remember)
        except ChildUnavailable:
            end = ChildEnd(0 if quantize_here(tasks, data, remember) else REFUSED)
        if end.status:
            raise self._failed(end)

    def _run_child(
        self,
        tasks: Sequence[Mapping[str, Any]],
        data: Iterable[memoryview],
        hear: Callable[[Mapping[str, Any]], None],
    ) -> ChildEnd:
        module = "edge_runtime.backends.llama.quantizer_child"
        with ChildStream(module, children=self._children) as child:
            child.send([json.dumps(tasks).encode() + b"\n", *data])
            for event in child.events():
                hear(event)
            return child.end()

    def _remember(self, event: Mapping[str, Any]) -> None:
        level, text = event.get("log", (0, ""))
        if found := TENSOR_LINE.match(text):
            self._tensor = found["name"]
        if level == _ERROR:
            self._complaints += text

    def _failed(self, end: ChildEnd) -> ConversionError | EngineUnavailable:
        if end.status == ENGINE_MISSING:
            return EngineUnavailable(
                end.last_words or "llama-cpp-python does not load",
                hint="run scripts/setup.sh, which builds it; `edge-runtime doctor` says more",
            )
        words = one_line(self._complaints, _WORDS) or end.describe()
        at = f" at {self._tensor}" if self._tensor else ""
        return ConversionError(
            f"llama.cpp cannot quantize {self._path.name}{at}: "
            + ("its process was killed, probably for want of memory" if end.was_killed else words),
            hint="close other programs and try again"
            if end.was_killed
            else "`edge-runtime verify` looks for damage in the file",
            path=str(self._path),
            tensor=self._tensor,
            status=end.status,
        )
