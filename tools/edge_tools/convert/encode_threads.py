"""Threads that read and encode pieces of the new file while others are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from .workspace import Workspace

Job = Callable[[Workspace], memoryview]
"""Makes a piece; what it returns may lie in the workspace."""

_THREADS = 2
_MOST_AHEAD = 6  # pieces that are being made or wait for being written


class EncodeThreads:
    """Use it in a `with` block. Files are read and numbers computed without Python's lock."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        """`jobs` are drawn in the caller's thread, a few at a time, also those of later tensors."""
        self._jobs = iter(jobs)
        self._pool = ThreadPoolExecutor(_THREADS, "encode")
        self._workspaces = [Workspace() for _ in range(_MOST_AHEAD)]
        self._free = deque(self._workspaces)
        self._begun: deque[tuple[Future[memoryview], Workspace]] = deque()

    def __enter__(self) -> EncodeThreads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for workspace in self._workspaces:
            workspace.close()

    def next_pieces(self, size_bytes: int) -> Iterator[memoryview]:
        """The next `size_bytes` of all pieces, in order. Each may be overwritten when the next is asked for.

        Raises what its job raises.
        """
        while size_bytes > 0:
            self._begin()
            made, workspace = self._begun.popleft()
            piece = made.result()
            yield piece
            size_bytes -= len(piece)
            self._free.append(workspace)

    def _begin(self) -> None:
        """As many jobs as there is room for."""
        while self._free and (job := next(self._jobs, None)) is not None:
            workspace = self._free.popleft()
            self._begun.append((self._pool.submit(job, workspace), workspace))
