"""Reading an answer while it is written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from queue import SimpleQueue
from types import TracebackType

from ..errors import EngineClosed
from ..values.records import Reply, TextPiece
from .engine import Failed, Ticket
from .engine.request import Event


class TextStream(Iterator[TextPiece]):
    """Iterate over the pieces; result() gives the whole answer.

    Leaving the `with` block, or dropping the stream, cancels what is left.
    """

    def __init__(self, events: SimpleQueue[Event], ticket: Ticket, owner: object = None) -> None:
        """owner: what must not be collected, and so closed, while the stream lives."""
        self._events, self._ticket, self._owner = events, ticket, owner
        self._process_id = os.getpid()
        self._reply: Reply | None = None
        self._over = False

    def __next__(self) -> TextPiece:
        """Raises what went wrong, once; StopIteration at the end."""
        if self._over:
            raise StopIteration
        if os.getpid() != self._process_id:
            raise EngineClosed(
                f"this answer is written in process {self._process_id}",
                hint="open the model in the child process, and ask there",
            )
        event = self._events.get()
        if isinstance(event, TextPiece):
            return event
        self._over = True
        if isinstance(event, Failed):
            raise event.error
        self._reply = event.reply
        raise StopIteration

    def result(self) -> Reply:
        """The whole answer. Waits for the end, and reads what has not been read yet.

        Raises what ended the stream; EngineClosed when that has been raised before.
        """
        for _ in self:
            pass
        if self._reply is None:
            raise EngineClosed("this stream ended with an error; it has no reply")
        return self._reply

    def cancel(self) -> None:
        """Stop within one step. The pieces already written, and result(), can still be read."""
        self._ticket.cancel()

    def __enter__(self) -> TextStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._over:
            self._ticket.cancel()


class AsyncTextStream(AsyncIterator[TextPiece]):
    """The asyncio twin of TextStream; `await stream.result()` gives the whole answer."""

    def __init__(self, events: asyncio.Queue[Event], ticket: Ticket, owner: object = None) -> None:
        """owner: what must not be collected, and so closed, while the stream lives."""
        self._events, self._ticket, self._owner = events, ticket, owner
        self._reply: Reply | None = None
        self._over = False

    async def __anext__(self) -> TextPiece:
        """Raises what went wrong, once. Cancelling the task cancels the generation."""
        if self._over:
            raise StopAsyncIteration
        try:
            event = await self._events.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if isinstance(event, TextPiece):
            return event
        self._over = True
        if isinstance(event, Failed):
            raise event.error
        self._reply = event.reply
        raise StopAsyncIteration

    async def result(self) -> Reply:
        """As TextStream.result."""
        async for _ in self:
            pass
        if self._reply is None:
            raise EngineClosed("this stream ended with an error; it has no reply")
        return self._reply

    def cancel(self) -> None:
        """As TextStream.cancel."""
        self._ticket.cancel()

    async def __aenter__(self) -> AsyncTextStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._over:
            self._ticket.cancel()
