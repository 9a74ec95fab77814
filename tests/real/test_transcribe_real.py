"""The commands on real speech with the real models: what they write, parsed by others."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import srt
import webvtt
from support.clips import Clip, word_error_rate
from support.sounds import wav_bytes

from edge_runtime.cli.command_line import main
from edge_runtime.speech.runtime import SpeechRuntime
from edge_runtime.speech.vad import SileroModel
from edge_runtime.speech.whisper import open_recognizer


@pytest.fixture(scope="module")
def runtime(whisper_path: Path, silero_path: Path) -> SpeechRuntime:
    return SpeechRuntime(open_recognizer(whisper_path), lambda: SileroModel(silero_path))


@pytest.fixture(scope="module")
def clips(speech_clips: list[Clip]) -> list[Clip]:
    """Half a minute of English: the longest clip, and one of middling length."""
    english = [clip for clip in speech_clips if clip.language == "en"]
    english.sort(key=lambda clip: len(clip.samples))
    return [english[-1], english[len(english) // 2]]


@pytest.fixture
def talk(clips: list[Clip], tmp_path: Path) -> Path:
    pause = np.zeros(16_000, np.float32)
    samples = np.concatenate([part for clip in clips for part in (clip.samples, pause)])
    path = tmp_path / "talk.wav"
    path.write_bytes(wav_bytes((samples * 32767).astype("<i2"), 16_000))
    return path


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_every_format_tells_what_was_said(
    runtime: SpeechRuntime,
    clips: list[Clip],
    talk: Path,
    tmp_path: Path,
    stream: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SpeechRuntime, "open", lambda *_, **__: runtime)
    monkeypatch.setattr(SpeechRuntime, "close", lambda *_: None)
    out = tmp_path / "out"
    options = ["-o", str(out), "--format", "text,srt,vtt,jsonl", "--words", *(["--stream"] if stream else [])]
    assert main(["transcribe", str(talk), *options]) == 0
    said = " ".join(clip.text for clip in clips)

    text = (out / "talk.txt").read_text()
    entries = list(srt.parse((out / "talk.srt").read_text()))
    captions = webvtt.read(str(out / "talk.vtt")).captions
    lines = [json.loads(line) for line in (out / "talk.jsonl").read_text().splitlines()]
    finals = [line for line in lines if line["type"] == "final"]
    assert word_error_rate([(said, text)]) < 0.2
    for told in (
        " ".join(entry.content for entry in entries),
        " ".join(caption.text for caption in captions),
        " ".join(line["text"] for line in finals),
    ):
        assert told.split() == text.split()

    assert all(before.end <= after.start for before, after in pairwise(entries))
    assert all(len(line) <= 42 for entry in entries for line in entry.content.splitlines())
    words = [word for line in finals for word in line["words"]]
    assert all(word["start_s"] <= word["end_s"] for word in words)
    assert all(before["start_s"] <= after["start_s"] for before, after in pairwise(words))
    assert lines[-1]["type"] == ("stats" if stream else "end")


def test_silence_is_transcribed_as_silence(runtime: SpeechRuntime, tmp_path: Path) -> None:
    path = tmp_path / "quiet.wav"
    path.write_bytes(wav_bytes(np.zeros(16_000 * 10, "<i2"), 16_000))
    transcript = runtime.transcribe(path)
    assert (transcript.text, transcript.segments, transcript.duration_s) == ("", (), 10.0)
