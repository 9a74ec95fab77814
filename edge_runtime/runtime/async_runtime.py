"""The asyncio twin of Runtime: the same names, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..values.records import Message, Reply
from .engine import GenerationRequest
from .engine.request import Event
from .runtime import Runtime
from .stream import AsyncTextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..values.records import GenerationKeywords


class AsyncRuntime:
    """Never blocks the event loop; several tasks may use it at once.

    async with await AsyncRuntime.open("smollm2-135m-instruct") as runtime:
        async for piece in await runtime.chat(messages, stream=True):
            print(piece.text, end="")
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @classmethod
    async def open(cls, model: str | Path, **options: Any) -> AsyncRuntime:
        """As Runtime.open, in a thread."""
        return cls(await asyncio.to_thread(Runtime.open, model, **options))

    @overload
    async def chat(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply: ...

    @overload
    async def chat(
        self, messages: Sequence[Message], *, stream: Literal[True], **options: Unpack[GenerationKeywords]
    ) -> AsyncTextStream: ...

    async def chat(
        self, messages: Sequence[Message], *, stream: bool = False, **options: Unpack[GenerationKeywords]
    ) -> Reply | AsyncTextStream:
        """As Runtime.chat. Cancelling the waiting task cancels the generation."""
        reply_stream = await self._start(lambda emit: self.runtime.chat_request(messages, emit, options))
        return reply_stream if stream else await reply_stream.result()

    @overload
    async def generate(
        self,
        prompt: str | Sequence[int],
        *,
        stream: Literal[False] = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply: ...

    @overload
    async def generate(
        self, prompt: str | Sequence[int], *, stream: Literal[True], **options: Unpack[GenerationKeywords]
    ) -> AsyncTextStream: ...

    async def generate(
        self, prompt: str | Sequence[int], *, stream: bool = False, **options: Unpack[GenerationKeywords]
    ) -> Reply | AsyncTextStream:
        """As Runtime.generate."""
        reply_stream = await self._start(lambda emit: self.runtime.generate_request(prompt, emit, options))
        return reply_stream if stream else await reply_stream.result()

    @overload
    async def embed(
        self, texts: str | Sequence[str], *, stream: Literal[False] = False
    ) -> NDArray[np.float32]: ...

    @overload
    async def embed(
        self, texts: str | Sequence[str], *, stream: Literal[True]
    ) -> AsyncIterator[NDArray[np.float32]]: ...

    async def embed(
        self, texts: str | Sequence[str], *, stream: bool = False
    ) -> NDArray[np.float32] | AsyncIterator[NDArray[np.float32]]:
        """As Runtime.embed."""
        if stream:
            return self._embed_each([texts] if isinstance(texts, str) else list(texts))
        return await asyncio.to_thread(self.runtime.embed, texts)

    async def _embed_each(self, texts: Sequence[str]) -> AsyncIterator[NDArray[np.float32]]:
        for text in texts:
            yield (await asyncio.to_thread(self.runtime.embed, text))[0]

    async def _start(
        self, make_request: Callable[[Callable[[Event], None]], GenerationRequest]
    ) -> AsyncTextStream:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()

        def emit(event: Event) -> None:  # on the worker thread
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        # Templates and tokenizing take milliseconds for a long conversation: not on the loop.
        request = await asyncio.to_thread(make_request, emit)
        return AsyncTextStream(events, self.runtime.submit(request))

    async def close(self) -> None:
        await asyncio.to_thread(self.runtime.close)

    async def __aenter__(self) -> AsyncRuntime:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
