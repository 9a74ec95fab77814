"""Whole transcripts, keywords, progress, and the same from asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tone_speech import TALK, Talk, saying, text_of, tone_speech, write_saying

from edge_runtime import AsyncSpeechRuntime, ProgressUpdate, SpeechRuntime, Transcript
from edge_runtime.errors import AudioDeviceUnavailable, OptionInvalid

LINES = [f"{line}." for line in TALK.rstrip(".").split(". ")]


@pytest.fixture
def runtime() -> Iterator[SpeechRuntime]:
    with tone_speech() as opened:
        yield opened


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_saying(tmp_path / "talk.wav", TALK)


def test_a_recording_becomes_text_language_length_and_segments(runtime: SpeechRuntime, talk: Path) -> None:
    transcript = runtime.transcribe(talk)
    assert transcript.text.splitlines() == LINES
    assert transcript.language == "en"
    assert transcript.duration_s == pytest.approx(len(saying(TALK)) / 16_000)
    assert [segment.text for segment in transcript.segments] == LINES
    assert all(segment.words for segment in transcript.segments)
    assert list(transcript) == list(transcript.segments)


def test_a_stream_that_was_read_in_part_has_the_whole_result(runtime: SpeechRuntime, talk: Path) -> None:
    stream = runtime.transcribe(talk, stream=True)
    assert next(stream).text == LINES[0]
    assert stream.result() == runtime.transcribe(talk)


def test_the_result_of_live_sound_begins_where_reading_stopped(runtime: SpeechRuntime, talk: Path) -> None:
    stream = runtime.listen(talk, simulated=True)
    for event in stream:
        if event.ends_utterance:
            break
    assert stream.result().text.splitlines() == LINES[1:]


def test_languages_are_given_by_name_or_code(runtime: SpeechRuntime, talk: Path) -> None:
    for language in ("French", "fr"):
        assert runtime.transcribe(talk, language=language).language == "fr"
    assert runtime.transcribe(talk, translate=True).text.startswith("the good the morning")


def test_an_unknown_keyword_names_the_known_ones(runtime: SpeechRuntime, talk: Path) -> None:
    with pytest.raises(OptionInvalid, match=r"^langage: no such option") as caught:
        runtime.transcribe(talk, langage="fr")  # type: ignore[call-overload]
    assert caught.value.hint == "known: language, translate"
    with pytest.raises(OptionInvalid, match="step_s"):
        runtime.listen(talk, simulated=True, step_s=0.0)
    with pytest.raises(OptionInvalid, match=r"^step_s: no such option"):
        runtime.transcribe(talk, step_s=1.0)  # type: ignore[call-overload]


def test_listening_to_a_recording_says_what_is_meant(runtime: SpeechRuntime, talk: Path) -> None:
    with pytest.raises(OptionInvalid, match=r"talk\.wav is a recording") as caught:
        runtime.listen(talk)
    assert "transcribe()" in caught.value.hint
    assert "simulated=True" in caught.value.hint


def test_progress_counts_the_seconds_that_are_written_down(runtime: SpeechRuntime, talk: Path) -> None:
    updates: list[ProgressUpdate] = []
    transcript = runtime.transcribe(talk, on_progress=updates.append)
    assert (updates[-1].done, updates[-1].unit) == (int(transcript.duration_s), "s")
    assert updates[-1].total == round(transcript.duration_s)


def test_sound_that_breaks_off_leaves_its_transcript_in_the_error(runtime: SpeechRuntime) -> None:
    with pytest.raises(AudioDeviceUnavailable) as caught:
        runtime.transcribe(Talk(error=AudioDeviceUnavailable("gone")))
    transcript = caught.value.facts["transcript"]
    assert isinstance(transcript, Transcript)
    assert transcript.text.splitlines() == LINES


# --- asyncio ---------------------------------------------------------------------------------


async def test_a_whole_transcript_can_be_awaited(runtime: SpeechRuntime, talk: Path) -> None:
    updates: list[tuple[ProgressUpdate, int]] = []

    def note(update: ProgressUpdate) -> None:
        updates.append((update, threading.get_ident()))

    found = await AsyncSpeechRuntime(runtime).transcribe(talk, language="en", on_progress=note)
    assert found == runtime.transcribe(talk)
    assert updates[-1][0].done == int(found.duration_s)
    assert {thread for _, thread in updates} == {threading.get_ident()}


async def test_a_stream_and_its_result_can_be_awaited(runtime: SpeechRuntime, talk: Path) -> None:
    stream = await AsyncSpeechRuntime(runtime).transcribe(talk, stream=True)
    first = await anext(stream)
    assert first.text == LINES[0]
    assert (await stream.result()).text.splitlines() == LINES
    live = await AsyncSpeechRuntime(runtime).listen(talk, simulated=True, step_s=0.5)
    assert text_of([event async for event in live]) == TALK
    with pytest.raises(AudioDeviceUnavailable) as caught:
        await AsyncSpeechRuntime(runtime).transcribe(Talk(error=AudioDeviceUnavailable("gone")))
    assert isinstance(caught.value.facts["transcript"], Transcript)


async def test_cancelling_a_whole_transcription_ends_its_work(runtime: SpeechRuntime) -> None:
    """The sound is endless: without an end of the work this test would be, too."""
    talk = Talk(endless=True)
    task = asyncio.create_task(AsyncSpeechRuntime(runtime).transcribe(talk))
    while not talk.blocks:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    blocks = talk.blocks
    await asyncio.sleep(0.2)
    assert talk.blocks == blocks
    assert not [thread for thread in threading.enumerate() if thread.name == "edge-runtime-speech"]
