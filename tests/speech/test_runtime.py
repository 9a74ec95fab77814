"""Opening, transcribing, listening; from threads, from asyncio, and when it goes wrong."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from support.tone_speech import TALK, Talk, ToneRecognizer, pcm, saying, text_of, tone_speech, write_saying

import edge_runtime
from edge_runtime.errors import AudioDeviceUnavailable, AudioFormatUnsupported, ModelNotFound, OptionInvalid
from edge_runtime.speech.async_runtime import AsyncSpeechRuntime
from edge_runtime.speech.audio import AudioBlock
from edge_runtime.speech.recognition.transcript import EventKind
from edge_runtime.speech.runtime import SpeechRuntime


@pytest.fixture
def runtime() -> Iterator[SpeechRuntime]:
    with tone_speech() as opened:
        yield opened


def test_a_file_becomes_finals_and_an_end(runtime: SpeechRuntime, tmp_path: Path) -> None:
    path = write_saying(tmp_path / "talk.wav", TALK)
    for source in (path, str(path), Talk()):
        events = list(runtime.transcribe(source, stream=True))
        assert text_of(events) == TALK
        assert events[-1].kind is EventKind.END
        assert {event.kind for event in events[:-1]} == {EventKind.FINAL}


def test_a_file_can_be_heard_as_if_it_were_live(runtime: SpeechRuntime, tmp_path: Path) -> None:
    stream = runtime.listen(write_saying(tmp_path / "talk.wav", TALK), simulated=True)
    events = list(stream)
    assert text_of(events) == TALK
    assert EventKind.PARTIAL in {event.kind for event in events}
    assert stream.stats is not None
    assert stream.stats.words == len(TALK.split())


def test_samples_on_standard_input_are_heard(runtime: SpeechRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pcm(TALK)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert text_of(list(runtime.transcribe("-", stream=True))) == TALK


def test_stopping_ends_the_sound_and_not_the_words(runtime: SpeechRuntime) -> None:
    """The sound is endless: without stop() this test would be, too."""
    talk = Talk(endless=True)
    with runtime.transcribe(talk, stream=True) as stream:
        events = []
        for event in stream:
            events.append(event)
            stream.stop()
    assert events[-1].kind is EventKind.END
    assert text_of(events).startswith("good morning everybody.")


def test_live_sound_is_stopped_from_another_thread(runtime: SpeechRuntime) -> None:
    class Slow(Talk):
        def __iter__(self) -> Iterator[AudioBlock]:
            for block in super().__iter__():
                go_on.wait(0.01)
                yield block

    go_on = threading.Event()
    stream = runtime.listen(Slow(endless=True))
    threading.Timer(0.5, stream.stop).start()
    assert list(stream)[-1].kind is EventKind.END


def test_what_was_heard_before_an_unplugged_device_is_told(runtime: SpeechRuntime) -> None:
    error = AudioDeviceUnavailable("gone")
    for stream in (
        runtime.transcribe(Talk(error=error), stream=True),
        runtime.listen(Talk(error=error), simulated=True),
    ):
        events = []
        with pytest.raises(AudioDeviceUnavailable, match="gone"):
            for event in stream:
                events.append(event)
        assert text_of(events) == TALK
        assert events[-1].kind is EventKind.END


def test_what_can_be_known_at_once_is_refused_at_once(runtime: SpeechRuntime, tmp_path: Path) -> None:
    with pytest.raises(AudioFormatUnsupported, match=r"none\.wav"):
        runtime.transcribe(tmp_path / "none.wav")
    with pytest.raises(OptionInvalid, match="'xx'"):
        runtime.listen(Talk(), language="xx")


def test_two_streams_do_not_mix(runtime: SpeechRuntime) -> None:
    """Each has a voice detector of its own, which remembers what it has heard."""
    other = "an entirely different talk."
    first, second = runtime.transcribe(Talk(), stream=True), runtime.transcribe(Talk(other), stream=True)
    pairs = list(zip_longest(first, second))
    assert text_of([one for one, _ in pairs if one]) == TALK
    assert text_of([two for _, two in pairs if two]) == other


def test_closing_gives_the_recognizer_back() -> None:
    runtime = tone_speech()
    with runtime:
        pass
    assert isinstance(runtime.recognizer, ToneRecognizer)
    assert runtime.recognizer.closed


def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(ModelNotFound) as caught:
        SpeechRuntime.open("whisper-base")
    assert caught.value.hint == "edge-runtime models pull whisper-base"


def test_the_package_offers_it() -> None:
    assert edge_runtime.SpeechRuntime is SpeechRuntime
    assert edge_runtime.AsyncSpeechRuntime is AsyncSpeechRuntime


# --- asyncio ---------------------------------------------------------------------------------


async def test_events_can_be_awaited(runtime: SpeechRuntime) -> None:
    async with AsyncSpeechRuntime(runtime) as opened:
        stream = await opened.transcribe(Talk(), stream=True)
        events = [event async for event in stream]
        assert text_of(events) == TALK
        live = await opened.listen(Talk(), simulated=True)
        assert text_of([event async for event in live]) == TALK
        assert live.stats is not None
        assert live.stats.words == len(TALK.split())


async def test_a_reader_that_is_slow_holds_the_work_back(runtime: SpeechRuntime) -> None:
    talk = Talk("one. two. three.", endless=True)
    async with await AsyncSpeechRuntime(runtime).transcribe(talk, stream=True) as stream:
        await anext(stream)
        while not stream._events.qsize():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert stream._events.qsize() <= 64


async def test_cancelling_the_reader_stops_the_stream_and_keeps_its_words(runtime: SpeechRuntime) -> None:
    class Silent(Talk):
        def __iter__(self) -> Iterator[AudioBlock]:
            yield from super().__iter__()
            position = len(saying(TALK))
            while True:
                reached.set()
                yield AudioBlock(np.zeros(1_600, np.float32), position)
                position += 1_600

    reached = threading.Event()
    stream = await AsyncSpeechRuntime(runtime).transcribe(Silent(), stream=True)
    events = []

    async def read() -> None:
        async for event in stream:
            events.append(event)

    task = asyncio.create_task(read())
    await asyncio.to_thread(reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    events += [event async for event in stream]
    assert text_of(events) == TALK
    assert events[-1].kind is EventKind.END


async def test_errors_come_to_the_reader(runtime: SpeechRuntime) -> None:
    stream = await AsyncSpeechRuntime(runtime).transcribe(
        Talk(error=AudioDeviceUnavailable("gone")), stream=True
    )
    events = []
    with pytest.raises(AudioDeviceUnavailable, match="gone"):
        async for event in stream:
            events.append(event)
    assert text_of(events) == TALK


async def test_leaving_early_ends_the_thread(runtime: SpeechRuntime) -> None:
    async with await AsyncSpeechRuntime(runtime).transcribe(Talk(endless=True), stream=True) as stream:
        await anext(stream)
    assert not stream._thread.is_alive()
