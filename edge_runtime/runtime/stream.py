"""Reading an answer while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from queue import SimpleQueue
from types import TracebackType

from ..errors import EngineClosed
from ..values.records import Reply, TextPiece
from .engine import Failed, Ticket
from .engine.request import Event


class ReplyStream(Iterator[TextPiece]):
    """Iterate over the pieces; afterwards `reply` holds the whole answer.

    Leaving the `with` block, or dropping the stream, cancels what is left.
    """

    def __init__(self, events: SimpleQueue[Event], ticket: Ticket) -> None:
        self._events, self._ticket = events, ticket
        self._reply: Reply | None = None
        self._over = False

    def __next__(self) -> TextPiece:
        """Raises what went wrong, once; StopIteration at the end."""
        if self._over:
            raise StopIteration
        event = self._events.get()
        if isinstance(event, TextPiece):
            return event
        self._over = True
        if isinstance(event, Failed):
            raise event.error
        self._reply = event.reply
        raise StopIteration

    @property
    def reply(self) -> Reply:
        """The whole answer; reads what has not been read yet."""
        for _ in self:
            pass
        if self._reply is None:
            raise EngineClosed("this stream ended with an error; it has no reply")
        return self._reply

    def cancel(self) -> None:
        """Stop within one step. The pieces already written, and `reply`, can still be read."""
        self._ticket.cancel()

    def __enter__(self) -> ReplyStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._over:
            self._ticket.cancel()


class AsyncReplyStream(AsyncIterator[TextPiece]):
    """The asyncio twin of ReplyStream; `await stream.reply()` gives the whole answer."""

    def __init__(self, events: asyncio.Queue[Event], ticket: Ticket) -> None:
        self._events, self._ticket = events, ticket
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

    async def reply(self) -> Reply:
        async for _ in self:
            pass
        if self._reply is None:
            raise EngineClosed("this stream ended with an error; it has no reply")
        return self._reply

    def cancel(self) -> None:
        self._ticket.cancel()

    async def __aenter__(self) -> AsyncReplyStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._over:
            self._ticket.cancel()
