"""The asyncio twin of SpeechRuntime: the same names, awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

from ..catalog.catalog import DEFAULT_SPEECH_MODEL
from .listening import ListenOptions, SpeechStream
from .recognition.transcript import TranscriptEvent
from .runtime import SpeechRuntime
from .source import SoundSource

_MOST_WAITING = 64  # events that nobody has read yet; then the work waits


class AsyncSpeechRuntime:
    """Never blocks the event loop.

    async with await AsyncSpeechRuntime.open() as runtime:
        async for event in await runtime.listen(Microphone()):
            print(event.text)
    """

    def __init__(self, runtime: SpeechRuntime) -> None:
        self.runtime = runtime

    @classmethod
    async def open(cls, model: str | Path = DEFAULT_SPEECH_MODEL, **options: Any) -> AsyncSpeechRuntime:
        """As SpeechRuntime.open, in a thread."""
        return cls(await asyncio.to_thread(SpeechRuntime.open, model, **options))

    async def transcribe(
        self, source: SoundSource, options: ListenOptions | None = None
    ) -> AsyncSpeechStream:
        """As SpeechRuntime.transcribe."""
        return AsyncSpeechStream(await asyncio.to_thread(self.runtime.transcribe, source, options))

    async def listen(
        self, source: SoundSource, options: ListenOptions | None = None, *, simulated: bool = False
    ) -> AsyncSpeechStream:
        """As SpeechRuntime.listen."""
        stream = await asyncio.to_thread(self.runtime.listen, source, options, simulated=simulated)
        return AsyncSpeechStream(stream)

    async def close(self) -> None:
        await asyncio.to_thread(self.runtime.close)

    async def __aenter__(self) -> AsyncSpeechRuntime:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncSpeechStream(AsyncIterator[TranscriptEvent]):
    """The asyncio twin of SpeechStream. A thread of its own does the work."""

    def __init__(self, stream: SpeechStream) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[TranscriptEvent | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(_MOST_WAITING)
        self._closed = self._over = False
        self._thread = threading.Thread(target=self._work, name="edge-runtime-speech", daemon=True)
        self._thread.start()

    @property
    def stats(self) -> Any:
        """Of listen(): complete after the end."""
        return self._stream.stats

    async def __anext__(self) -> TranscriptEvent:
        """Raises what went wrong, once. Cancelling the task stops the stream: what was heard can be read."""
        if self._over:
            raise StopAsyncIteration
        try:
            event = await self._events.get()
        except asyncio.CancelledError:
            self.stop()
            raise
        self._room.release()
        if isinstance(event, TranscriptEvent):
            return event
        self._over = True
        if event is None:
            raise StopAsyncIteration
        raise event

    def stop(self) -> None:
        """As SpeechStream.stop."""
        self._stream.stop()

    async def close(self) -> None:
        """Nothing more comes; returns when the work has ended."""
        self._closed = True
        self._stream.stop()
        self._room.release()
        await asyncio.to_thread(self._thread.join)
        self._over = True

    async def __aenter__(self) -> AsyncSpeechStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- the working thread --------------------------------------------------------------

    def _work(self) -> None:
        last: BaseException | None = None
        try:
            with self._stream:
                for event in self._stream:
                    if not self._hand_over(event):
                        return
        except Exception as error:  # it belongs to whoever reads  # noqa: BLE001
            last = error
        self._hand_over(last)

    def _hand_over(self, event: TranscriptEvent | BaseException | None) -> bool:
        """False when nobody reads any more."""
        self._room.acquire()
        if self._closed or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        return True
