"""Speech that Whisper leaves out at first: after repetitions, in other languages, single words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from support.clips import Clip, words
from support.scripted_speech import SoundSource

from edge_runtime.speech.audio import Samples
from edge_runtime.speech.listening import ListenOptions, SimulatedClock, listen, transcribe
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent
from edge_runtime.speech.vad import SileroModel
from edge_runtime.speech.whisper import WhisperRecognizer, open_recognizer

SECOND = 16_000
RUNS = pytest.mark.parametrize("live", [False, True], ids=["whole", "live"])


@pytest.fixture(scope="module")
def recognizer(whisper_path: Path) -> Iterator[WhisperRecognizer]:
    with open_recognizer(whisper_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def silero(silero_path: Path) -> SileroModel:
    return SileroModel(silero_path)


@pytest.fixture(scope="module")
def clips(speech_clips: list[Clip]) -> dict[str, Clip]:
    return {f"{clip.language}/{clip.name}": clip for clip in speech_clips}


def in_a_row(pause_s: float, *clips: Clip) -> Samples:
    pause = np.zeros(round(pause_s * SECOND), np.float32)
    return np.concatenate([*chain.from_iterable((clip.samples, pause) for clip in clips), pause])


def hear(
    recognizer: WhisperRecognizer, silero: SileroModel, samples: Samples, *, live: bool, language: str | None
) -> list[TranscriptEvent]:
    options, source = ListenOptions(language=language), SoundSource(samples)
    if not live:
        return list(transcribe(source, recognizer, silero, options))
    return list(listen(source, recognizer, silero, options, clock=SimulatedClock(lambda: 0.0)))


def share_kept(clip: Clip, events: list[TranscriptEvent]) -> float:
    """Of the different words of a clip, those that were written down."""
    said = set(words(clip.text))
    return len(said & set(words(text_of(events)))) / len(said)


def text_of(events: list[TranscriptEvent]) -> str:
    return "".join(word.text for event in events if event.kind is EventKind.FINAL for word in event.words)


@RUNS
@pytest.mark.parametrize("times", [3, 6])
def test_what_follows_a_repetition_is_written_down(
    recognizer: WhisperRecognizer, silero: SileroModel, clips: dict[str, Clip], times: int, live: bool
) -> None:
    again, then = clips["en/vm-nomore"], clips["en/queue-periodic-announce"]
    events = hear(recognizer, silero, in_a_row(0.1, *[again] * times, then), live=live, language="en")
    assert share_kept(then, events) > 0.75
    text = words(text_of(events))
    assert text.count("more") in range(times - 1, times + 2)


@RUNS
@pytest.mark.parametrize("pause_s", [1.0, 0.6])
def test_each_language_of_a_file_is_written_down(
    recognizer: WhisperRecognizer, silero: SileroModel, clips: dict[str, Clip], pause_s: float, live: bool
) -> None:
    spoken = [
        clips["en/queue-periodic-announce"],
        clips["fr/dictate_enter_filename"],
        clips["it/vm-invalid-password"],
    ]
    events = hear(recognizer, silero, in_a_row(pause_s, *spoken), live=live, language=None)
    for clip in spoken:
        assert share_kept(clip, events) > 0.6, clip.name
