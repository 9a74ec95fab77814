"""Live listening and whole files with Whisper base and Silero, on real speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from support.clips import Clip, word_error_rate, words
from support.scripted_speech import SoundSource

from edge_runtime.speech.audio import Samples
from edge_runtime.speech.listening import ListenOptions, ListenStats, SimulatedClock, listen, transcribe
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent, TranscriptWord
from edge_runtime.speech.vad import SileroModel
from edge_runtime.speech.whisper import WhisperRecognizer, open_recognizer

SECOND = 16_000
CHOSEN = (
    *(("en", name) for name in ("confbridge-lock-extended", "vm-record-prepend", "queue-periodic-announce")),
    *(("fr", "privacy-prompt"), ("it", "conf-noempty"), ("es", "privacy-prompt")),
)


@pytest.fixture(scope="module")
def recognizer(whisper_path: Path) -> Iterator[WhisperRecognizer]:
    with open_recognizer(whisper_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def silero(silero_path: Path) -> SileroModel:
    return SileroModel(silero_path)


@pytest.fixture(scope="module")
def chosen(speech_clips: list[Clip]) -> list[Clip]:
    """Half a minute, in several languages."""
    return [clip for clip in speech_clips if (clip.language, clip.name) in CHOSEN]


def live(
    recognizer: WhisperRecognizer, silero: SileroModel, samples: Samples, language: str | None
) -> tuple[list[TranscriptEvent], ListenStats]:
    """As on a machine that needs no time at all: the same passes in every run."""
    stats, clock = ListenStats(), SimulatedClock(lambda: 0.0)
    options = ListenOptions(language=language)
    listening = listen(SoundSource(samples), recognizer, silero, options, stats=stats, clock=clock)
    return list(listening), stats


def words_of(events: Sequence[TranscriptEvent]) -> list[TranscriptWord]:
    return [word for event in events if event.kind is EventKind.FINAL for word in event.words]


def text_of(events: Sequence[TranscriptEvent]) -> str:
    return "".join(word.text for word in words_of(events)).strip()


def repeated_phrases(text: str) -> list[str]:
    """Two words or more, three times in a row."""
    said = words(text)
    return [
        " ".join(said[start : start + size])
        for size in range(2, 13)
        for start in range(len(said) - 3 * size + 1)
        if said[start : start + size] * 3 == said[start : start + 3 * size]
    ]


def test_live_words_are_nearly_those_of_the_whole_clip(
    recognizer: WhisperRecognizer, silero: SileroModel, chosen: list[Clip]
) -> None:
    assert len(chosen) >= 5
    whole, heard = [], []
    for clip in chosen:
        options = ListenOptions(language=clip.language)
        whole.append(text_of(list(transcribe(SoundSource(clip.samples), recognizer, silero, options))))
        heard.append(text_of(live(recognizer, silero, clip.samples, clip.language)[0]))
    said = [clip.text for clip in chosen]
    errors, whole_errors = (word_error_rate(zip(said, found, strict=True)) for found in (heard, whole))
    assert errors <= whole_errors + 0.05  # 70 words: one more or less is 1.4 points
    assert not [phrase for text in (*heard, *whole) for phrase in repeated_phrases(text)]


def test_clips_in_a_row_lose_no_clip_and_no_order(
    recognizer: WhisperRecognizer, silero: SileroModel, chosen: list[Clip]
) -> None:
    english = [clip for clip in chosen if clip.language == "en"]
    pause = np.zeros(round(0.3 * SECOND), np.float32)
    row = np.concatenate(list(chain.from_iterable((clip.samples, pause) for clip in english)))
    events, stats = live(recognizer, silero, row, None)
    said = " ".join(clip.text for clip in english)
    assert word_error_rate([(said, text_of(events))]) < 0.15
    assert not repeated_phrases(text_of(events))
    assert {event.language for event in events if event.kind is EventKind.FINAL} == {"en"}
    told = words_of(events)
    assert all(before.end_s <= after.start_s for before, after in pairwise(told))
    assert stats.words == len(told)
    assert stats.dropped_s == 0


@pytest.mark.parametrize("name", ["vm-reenterpassword", "conf-lockednow", "vm-record-prepend"])
def test_a_clip_that_is_cut_after_its_last_word_shows_it(
    recognizer: WhisperRecognizer, silero: SileroModel, speech_clips: list[Clip], name: str
) -> None:
    clip = next(clip for clip in speech_clips if (clip.language, clip.name) == ("en", name))
    whole = transcribe(SoundSource(clip.samples), recognizer, silero, ListenOptions(language=clip.language))
    last = words_of(list(whole))[-1]
    end = round((last.end_s + 0.05) * SECOND)
    events, _ = live(recognizer, silero, clip.samples[:end], clip.language)
    assert words(text_of(events))[-1] == words(last.text)[-1]


@pytest.mark.parametrize("kind", ["silence", "white noise", "hum"])
def test_a_minute_without_speech_costs_no_decoding(
    recognizer: WhisperRecognizer, silero: SileroModel, kind: str
) -> None:
    rng, times_s = np.random.default_rng(7), np.arange(60 * SECOND) / SECOND
    sounds = {
        "silence": 0 * times_s,
        "white noise": rng.normal(0, 0.1, len(times_s)),
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * times_s) / k for k in range(1, 9)),
    }
    samples = np.clip(sounds[kind], -1, 1).astype(np.float32)
    events, stats = live(recognizer, silero, samples, None)
    assert [event.kind for event in events] == [EventKind.END]
    assert stats.decodes == 0
