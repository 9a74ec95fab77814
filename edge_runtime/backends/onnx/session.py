"""onnxruntime on the CPU, with memory that does not grow, and its errors as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import BackendFailed, EngineUnavailable, ModelFileInvalid, ModelNotFound, ModelUnsupported
from ...memory.residency.mapping import mapped_pages
from ...memory.residency.pages import unmap
from ...values.files import GIT_LFS_HINT, is_git_lfs_pointer

_HINT = "`edge-runtime verify NAME` compares it with what it should be; `models pull` fetches it again"


class OnnxSession:
    """One graph. Tensors go in and come out as onnxruntime's own values, without a copy."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Raises EngineUnavailable without onnxruntime, ModelNotFound, ModelFileInvalid."""
        self._path = path
        self._module = load_onnxruntime()
        self._session = open_session(path, threads=threads)
        self._input_shapes = {entry.name: entry.shape for entry in self._session.get_inputs()}
        self._output_shapes = {entry.name: entry.shape for entry in self._session.get_outputs()}
        self.inputs, self.outputs = list(self._input_shapes), list(self._output_shapes)

    def tensor(self, array: NDArray[Any]) -> Any:
        """`array` as an input; it must not change while that is in use."""
        return self._module.OrtValue.ortvalue_from_numpy(array)

    def run(self, outputs: Sequence[str], feed: Mapping[str, Any]) -> list[Any]:
        """The outputs, in order; `.numpy()` of each is its array. Raises BackendFailed."""
        try:
            return list(self._session.run_with_ort_values(outputs, feed))
        except onnx_errors() as error:
            raise BackendFailed(
                f"{self._path.name}: onnxruntime stopped: {error}",
                hint="the file may be damaged: fetch the model again",
                path=str(self._path),
            ) from error

    def size(self, name: str, axis: int) -> int:
        """A fixed size of an input. Raises ModelUnsupported where the graph leaves it open."""
        return self._fixed(name, self._input_shapes, axis)

    def output_size(self, name: str, axis: int) -> int:
        """Likewise of an output."""
        return self._fixed(name, self._output_shapes, axis)

    def unmap_weights(self) -> None:
        """Weights that are read where they lie in the file leave this process until they are read again.

        onnxruntime maps a file beside the graph, and copies of it only what it wants in another order.
        """
        for file in data_files(self._path):
            for pages in mapped_pages(file):
                unmap(pages)

    def close(self) -> None:
        """Give the weights back. Nothing may be run afterwards."""
        self._session = None

    def _fixed(self, name: str, shapes: Mapping[str, Sequence[object]], axis: int) -> int:
        shape = shapes.get(name, ())
        value = shape[axis] if axis < len(shape) else None
        if not isinstance(value, int) or not 0 < value < 1 << 20:
            raise ModelUnsupported(
                f"{self._path}: {name} has the shape {list(shape)}; expected a fixed size in place {axis}",
                hint="export or convert the model again, with fixed head counts and sizes",
                path=str(self._path),
            )
        return value


def data_files(graph: Path) -> tuple[Path, ...]:
    """Where a graph's large tensors may lie: our own in NAME.data, an export's in NAME.onnx_data."""
    return graph.with_suffix(".data"), graph.with_name(f"{graph.name}_data")


def load_onnxruntime() -> Any:
    """The module. Raises EngineUnavailable."""
    try:
        onnxruntime = import_module("onnxruntime")
    except (ImportError, OSError) as error:
        raise EngineUnavailable(
            f"onnxruntime does not load: {error}", hint='pip install "edge-runtime[speech]"'
        ) from error
    onnxruntime.disable_telemetry_events()  # only Windows' builds would send any
    return onnxruntime


def open_session(path: Path, *, threads: int = 1) -> Any:
    """An InferenceSession that gives back what a run allocates.

    Threads sleep while they wait: spinning, onnxruntime's default, takes a second core for
    nothing whenever another program is at work.

    Raises EngineUnavailable without onnxruntime, ModelNotFound, ModelFileInvalid.
    """
    onnxruntime = load_onnxruntime()
    if not path.is_file():
        raise ModelNotFound(
            f"{path}: no such file", hint="edge-runtime models pull fetches it", path=str(path)
        )
    for file in (path, *data_files(path)):
        if is_git_lfs_pointer(file):
            raise ModelFileInvalid(
                f"{file} is a Git LFS pointer, a note of where the content is",
                hint=GIT_LFS_HINT,
                path=str(file),
            )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_cpu_mem_arena = False  # it keeps what the largest run has needed
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; they come as exceptions as well
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except onnx_errors() as error:
        raise ModelFileInvalid(
            f"{path} is not a model that onnxruntime can run: {error}", hint=_HINT, path=str(path)
        ) from error


def onnx_errors() -> tuple[type[Exception], ...]:
    """onnxruntime's exceptions: they come straight from Exception, each for itself."""
    module = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    kinds = [value for value in vars(module).values() if isinstance(value, type)]
    return tuple(kind for kind in kinds if issubclass(kind, Exception))
