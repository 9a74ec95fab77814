"""llama.cpp's own quantizer, in a child process: an assertion there ends the child, not us.

First which type each tensor would get, which reads no weight; then the quantizing, with
exactly the types that were decided on.

Source: llama.cpp at 0c1e57098, src/llama-quant.cpp.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...device.child import child_command, child_environment
from ...errors import ConversionError, EngineUnavailable
from ...gguf.types import GgmlType
from .quantizer_child import ENGINE_MISSING
from .quantizer_log import TENSOR_LINE, TypeAnswer, reader_of

# llama.cpp takes a tensor apart in slabs of rows that fit this. Gemma 3n E2B in BF16, whose per-layer
# embeddings are one tensor of 4 GB: 114 MiB anonymous in the child at its peak, 5748 MiB with llama.cpp's
# own 8 GiB here; larger slabs are no faster.
BUFFER_BYTES = 64 << 20
_QUANTIZED = 7  # any quantized llama_ftype: types for single tensors count beside no other
_ERROR = 4  # source: enum ggml_log_level
_SIGKILL = 9  # Windows has no name for it
_MOST_STDERR_BYTES = 1 << 16
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


def planned_types(path: Path, questions: Sequence[TypeQuestion]) -> list[TypeAnswer]:
    """llama.cpp's answer to each question; half a second for all of them.

    Raises ConversionError with llama.cpp's last words when it refuses the file or dies of
    it, EngineUnavailable when it is not installed or no child can be started.
    """
    tasks = [_task(path, None, question.file_type, question.overrides) for question in questions]
    for task, question in zip(tasks, questions, strict=True):
        task["imatrix"] = list(_NO_MATRIX) if question.has_matrix else []
    child = _Child(path)
    answers = [TypeAnswer() for _ in questions]
    child.run(tasks, [_NO_DATA for question in questions if question.has_matrix], reader_of(answers))
    return answers


def run_quantizer(task: QuantizeTask, written: Callable[[int], None]) -> None:
    """Writes task.output; `written` hears now and then how many bytes of it there are.

    Raises as planned_types() does; whatever ends it early, KeyboardInterrupt too, ends the child.
    """
    native = _task(task.path, task.output, _QUANTIZED, task.types)
    native["threads"], native["metadata"] = task.threads, dict(task.metadata)
    # A matrix of nothing where there is none: without any, llama.cpp refuses to copy the smallest types.
    native["imatrix"] = [(name, values.size) for name, values in task.matrix.items()] or _NO_MATRIX
    data = [np.ascontiguousarray(values, "<f4").data for values in task.matrix.values()] or [_NO_DATA]

    def hear(event: Mapping[str, Any]) -> None:
        if "written_bytes" in event:
            written(event["written_bytes"])

    _Child(task.path).run([native], data, hear)


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


# --- the child ---------------------------------------------------------------------------


class _Child:
    """Runs once. Remembers what an error should repeat."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensor = ""  # the one it is at
        self._complaints = ""

    def run(
        self,
        tasks: Sequence[Mapping[str, Any]],
        data: Iterable[memoryview],
        hear: Callable[[Mapping[str, Any]], None],
    ) -> None:
        with tempfile.TemporaryFile() as errors:
            process = self._start(errors)
            try:
                _feed(process, tasks, data)
                for line in process.stdout or ():
                    if line.startswith(b"{"):  # what llama.cpp prints itself is nothing to us
                        event = json.loads(line)
                        self._remember(event)
                        hear(event)
                status = process.wait()
            finally:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        with suppress(OSError):  # a broken pipe may have something left to write
                            pipe.close()
            if status:
                errors.seek(0)
                raise self._failed(status, errors.read(_MOST_STDERR_BYTES).decode(errors="replace"))

    def _start(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                child_command("backends.llama.quantizer_child"),
                env=child_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        except OSError as error:
            raise EngineUnavailable(f"a child process cannot be started: {error}") from error

    def _remember(self, event: Mapping[str, Any]) -> None:
        level, text = event.get("log", (0, ""))
        if found := TENSOR_LINE.match(text):
            self._tensor = found["name"]
        if level == _ERROR:
            self._complaints += text

    def _failed(self, status: int, stderr: str) -> ConversionError | EngineUnavailable:
        if status == ENGINE_MISSING:
            return EngineUnavailable(
                stderr.strip() or "llama-cpp-python does not load",
                hint="run scripts/setup.sh, which builds it; `edge-runtime doctor` says more",
            )
        words = " ".join((self._complaints or stderr).split())[-_WORDS:] or _how_it_ended(status)
        at = f" at {self._tensor}" if self._tensor else ""
        killed = status == -_SIGKILL
        return ConversionError(
            f"llama.cpp cannot quantize {self._path.name}{at}: "
            + ("its process was killed, probably for want of memory" if killed else words),
            hint="close other programs and try again"
            if killed
            else "`edge-runtime verify` looks for damage in the file",
            path=str(self._path),
            tensor=self._tensor,
            status=status,
        )


def _feed(
    process: subprocess.Popen[bytes], tasks: Sequence[Mapping[str, Any]], data: Iterable[memoryview]
) -> None:
    """All it needs to know. It says nothing before it has heard all, or has died: then its status tells."""
    if process.stdin is None:
        return
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(tasks).encode() + b"\n")
        for numbers in data:
            process.stdin.write(numbers)
        process.stdin.close()


def _how_it_ended(status: int) -> str:
    try:
        return f"{signal.Signals(-status).name} in llama.cpp"
    except ValueError:
        return f"exit status {status}"
