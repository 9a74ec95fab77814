"""Pieces of the new file, encoded by threads while others are read and written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from ...gguf_types import GgmlType
from .encode import Encoder

Piece = NDArray[Any]
EncodePiece = Callable[[Encoder, Piece], memoryview]

_THREADS = 2
MOST_AHEAD = 3  # pieces that are being encoded or wait for being written


class EncodeThreads:
    """Use it in a `with` block. numpy lets the other threads run while it computes."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "encode")
        self._encoders: dict[GgmlType, list[Encoder]] = {}

    def __enter__(self) -> EncodeThreads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def encoded(self, pieces: Iterable[Piece], kind: GgmlType, encode: EncodePiece) -> Iterator[memoryview]:
        """What `encode` makes of each, in order; it may be overwritten when the next one is asked for.

        The pieces are drawn by the caller's thread, MOST_AHEAD of them before the first one comes back:
        a piece must stay as it is until as many others were drawn.
        """
        encoders = self._encoders.setdefault(kind, [Encoder(kind) for _ in range(MOST_AHEAD)])
        waiting: deque[Future[memoryview]] = deque()
        for number, piece in enumerate(pieces):
            if len(waiting) == MOST_AHEAD:
                yield waiting.popleft().result()
            waiting.append(self._pool.submit(encode, encoders[number % MOST_AHEAD], piece))
        while waiting:
            yield waiting.popleft().result()
