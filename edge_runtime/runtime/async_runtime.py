"""The asyncio twin of Runtime: the same names and keywords, awaited; properties are the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..values.records import MemoryUsage, Reply
from .engine import GenerationRequest, Ticket
from .engine.request import Event
from .prompt.fitting import Messages
from .runtime import Runtime
from .stream import AsyncTextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..memory import LoadKeywords, LoadOptions, MemoryPlan
    from ..values.records import GenerationKeywords


class AsyncRuntime:
    """Never blocks the event loop; several tasks may use it at once.

    async with await AsyncRuntime.open("smollm2-135m-instruct") as runtime:
        async for piece in await runtime.chat(messages, stream=True):
            print(piece.text, end="")
    """

    def __init__(self, runtime: Runtime) -> None:
        """AsyncRuntime.open() is the way in; an open Runtime can be wrapped, too."""
        self.runtime = runtime

    @classmethod
    async def open(
        cls,
        model: str | Path,
        options: LoadOptions | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
        **keywords: Unpack[LoadKeywords],
    ) -> AsyncRuntime:
        """As Runtime.open, in a thread, on which on_progress is called, too."""
        opened = partial(Runtime.open, model, options, on_progress=on_progress, **keywords)
        return cls(await asyncio.to_thread(opened))

    # --- what it is --------------------------------------------------------------------

    @property
    def model_name(self) -> str:
        """As Runtime.model_name."""
        return self.runtime.model_name

    @property
    def model_path(self) -> Path:
        """As Runtime.model_path."""
        return self.runtime.model_path

    @property
    def plan(self) -> MemoryPlan:
        """As Runtime.plan."""
        return self.runtime.plan

    @property
    def load_s(self) -> float:
        """As Runtime.load_s."""
        return self.runtime.load_s

    @property
    def context_tokens(self) -> int:
        """As Runtime.context_tokens."""
        return self.runtime.context_tokens

    @property
    def vocabulary_size(self) -> int:
        """As Runtime.vocabulary_size."""
        return self.runtime.vocabulary_size

    @property
    def has_chat_template(self) -> bool:
        """As Runtime.has_chat_template."""
        return self.runtime.has_chat_template

    # --- chat and generate -------------------------------------------------------------

    @overload
    async def chat(
        self, messages: Messages, *, stream: Literal[False] = False, **options: Unpack[GenerationKeywords]
    ) -> Reply: ...

    @overload
    async def chat(
        self, messages: Messages, *, stream: Literal[True], **options: Unpack[GenerationKeywords]
    ) -> AsyncTextStream: ...

    async def chat(
        self, messages: Messages, *, stream: bool = False, **options: Unpack[GenerationKeywords]
    ) -> Reply | AsyncTextStream:
        """As Runtime.chat. Cancelling the waiting task cancels the generation."""
        text_stream = await self._start(lambda emit: self.runtime.chat_request(messages, emit, options))
        return text_stream if stream else await text_stream.result()

    @overload
    async def generate(
        self,
        prompt: str | Sequence[int],
        *,
        system: str | None = None,
        raw: bool = False,
        stream: Literal[False] = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply: ...

    @overload
    async def generate(
        self,
        prompt: str | Sequence[int],
        *,
        system: str | None = None,
        raw: bool = False,
        stream: Literal[True],
        **options: Unpack[GenerationKeywords],
    ) -> AsyncTextStream: ...

    async def generate(
        self,
        prompt: str | Sequence[int],
        *,
        system: str | None = None,
        raw: bool = False,
        stream: bool = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply | AsyncTextStream:
        """As Runtime.generate. Cancelling the waiting task cancels the generation."""
        text_stream = await self._start(
            lambda emit: self.runtime.generate_request(prompt, emit, options, system=system, raw=raw)
        )
        return text_stream if stream else await text_stream.result()

    async def chat_request(
        self, messages: Messages, emit: Callable[[Event], None], options: Mapping[str, Any]
    ) -> GenerationRequest:
        """As Runtime.chat_request."""
        return await asyncio.to_thread(self.runtime.chat_request, messages, emit, options)

    async def generate_request(
        self,
        prompt: str | Sequence[int],
        emit: Callable[[Event], None],
        options: Mapping[str, Any],
        *,
        system: str | None = None,
        raw: bool = False,
    ) -> GenerationRequest:
        """As Runtime.generate_request."""
        make = partial(self.runtime.generate_request, prompt, emit, options, system=system, raw=raw)
        return await asyncio.to_thread(make)

    async def submit(self, request: GenerationRequest) -> Ticket:
        """As Runtime.submit; request.emit is called on the worker's thread, not on the loop."""
        return self.runtime.submit(request)

    # --- tokens ------------------------------------------------------------------------

    async def prompt_of(self, messages: Messages) -> str:
        """As Runtime.prompt_of."""
        return await asyncio.to_thread(self.runtime.prompt_of, messages)

    async def count_prompt_tokens(self, messages: Messages) -> int:
        """As Runtime.count_prompt_tokens."""
        return await asyncio.to_thread(self.runtime.count_prompt_tokens, messages)

    async def tokenize(
        self, text: str, *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """As Runtime.tokenize."""
        tokenize = partial(self.runtime.tokenize, text, add_special=add_special, parse_special=parse_special)
        return await asyncio.to_thread(tokenize)

    async def detokenize(self, tokens: Sequence[int], *, keep_special: bool = False) -> str:
        """As Runtime.detokenize."""
        return await asyncio.to_thread(partial(self.runtime.detokenize, tokens, keep_special=keep_special))

    async def count_tokens(self, text: str) -> int:
        """As Runtime.count_tokens."""
        return await asyncio.to_thread(self.runtime.count_tokens, text)

    # --- embed -------------------------------------------------------------------------

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
        return AsyncTextStream(events, self.runtime.submit(request), owner=self.runtime)

    # --- state and end -----------------------------------------------------------------

    async def save_state(self, messages: Messages, path: str | Path) -> int:
        """As Runtime.save_state."""
        return await asyncio.to_thread(self.runtime.save_state, messages, path)

    async def restore_state(self, path: str | Path) -> int:
        """As Runtime.restore_state."""
        return await asyncio.to_thread(self.runtime.restore_state, path)

    async def memory_usage(self) -> MemoryUsage:
        """As Runtime.memory_usage."""
        return await asyncio.to_thread(self.runtime.memory_usage)

    async def close(self) -> None:
        """As Runtime.close."""
        await asyncio.to_thread(self.runtime.close)

    async def __aenter__(self) -> AsyncRuntime:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
