"""The asyncio twin of SpeechRuntime: the same names, awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, overload

from ..catalog.catalog import DEFAULT_SPEECH_MODEL, DEFAULT_VAD_MODEL
from ..errors import EdgeRuntimeError
from ..values.progress import OnProgress, ProgressUpdate, progress_of
from .listening import ListenStats, SpeechStream, TranscriptBuilder
from .recognition.transcript import Transcript, TranscriptEvent
from .runtime import SpeechRuntime
from .source import ListeningKeywords, SoundSource, TranscriptionKeywords

_MOST_WAITING = 64  # events that have not been read yet; then the work waits

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncSpeechRuntime:
    """Never blocks the event loop.

    async with await AsyncSpeechRuntime.open() as runtime:
        async for event in await runtime.listen(Microphone()):
            print(event.text)
    """

    def __init__(self, runtime: SpeechRuntime) -> None:
        self.runtime = runtime

    @classmethod
    async def open(
        cls,
        model: str | Path = DEFAULT_SPEECH_MODEL,
        *,
        detector: str | Path = DEFAULT_VAD_MODEL,
        threads: int | None = None,
    ) -> AsyncSpeechRuntime:
        """As SpeechRuntime.open, in a thread."""
        return cls(await asyncio.to_thread(SpeechRuntime.open, model, detector=detector, threads=threads))

    @overload
    async def transcribe(
        self,
        source: SoundSource,
        *,
        stream: Literal[False] = False,
        on_progress: OnProgress | None = None,
        **options: Unpack[TranscriptionKeywords],
    ) -> Transcript: ...

    @overload
    async def transcribe(
        self,
        source: SoundSource,
        *,
        stream: Literal[True],
        on_progress: OnProgress | None = None,
        **options: Unpack[TranscriptionKeywords],
    ) -> AsyncSpeechStream: ...

    async def transcribe(
        self,
        source: SoundSource,
        *,
        stream: bool = False,
        on_progress: OnProgress | None = None,
        **options: Unpack[TranscriptionKeywords],
    ) -> Transcript | AsyncSpeechStream:
        """As SpeechRuntime.transcribe; on_progress is called in the event loop.

        Cancelling the task that waits for a whole transcript ends the work.
        """
        loop = asyncio.get_running_loop()
        progress = progress_of(None if on_progress is None else partial(_call_in, loop, on_progress))
        started = AsyncSpeechStream(
            await asyncio.to_thread(self.runtime.start_transcription, source, options, progress)
        )
        if stream:
            return started
        async with started:
            return await started.result()

    async def listen(
        self, source: SoundSource, *, simulated: bool = False, **options: Unpack[ListeningKeywords]
    ) -> AsyncSpeechStream:
        """As SpeechRuntime.listen."""
        stream = await asyncio.to_thread(self.runtime.listen, source, simulated=simulated, **options)
        return AsyncSpeechStream(stream)

    async def close(self) -> None:
        """As SpeechRuntime.close."""
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
        self._read = TranscriptBuilder()
        self._thread = threading.Thread(target=self._work, name="edge-runtime-speech", daemon=True)
        self._thread.start()

    @property
    def stats(self) -> ListenStats | None:
        """Of listen(): complete after the end."""
        return self._stream.stats

    async def result(self) -> Transcript:
        """As SpeechStream.result."""
        try:
            async for event in self:
                if self.stats is not None:
                    self._read.add(event)
        except EdgeRuntimeError as error:
            error.facts["transcript"] = self._read.transcript()
            raise
        return self._read.transcript()

    async def __anext__(self) -> TranscriptEvent:
        """Raises what went wrong, once. Cancelling the task stops the stream; earlier events can be read."""
        if self._over:
            raise StopAsyncIteration
        try:
            event = await self._events.get()
        except asyncio.CancelledError:
            self.stop()
            raise
        self._room.release()
        if isinstance(event, TranscriptEvent):
            if self.stats is None:
                self._read.add(event)
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
        except Exception as error:  # noqa: BLE001 - raised where the events are awaited
            last = error
        self._hand_over(last)

    def _hand_over(self, event: TranscriptEvent | BaseException | None) -> bool:
        """False after close(): the events are not read any more."""
        self._room.acquire()
        if self._closed or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        return True


def _call_in(loop: asyncio.AbstractEventLoop, on_progress: OnProgress, update: ProgressUpdate) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(on_progress, update)
