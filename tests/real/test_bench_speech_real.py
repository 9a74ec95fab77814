"""`bench speech` on two real clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.clips import Clip
from support.sounds import wav_bytes

from edge_runtime.cli.command_line import main
from edge_runtime.speech.runtime import SpeechRuntime
from edge_runtime.speech.vad import SileroModel
from edge_runtime.speech.whisper import open_recognizer


def test_two_clips_are_heard_live_and_whole(
    whisper_path: Path,
    silero_path: Path,
    speech_clips: list[Clip],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = [clip for clip in speech_clips if clip.name in ("conf-getpin", "vm-passchanged", "demo-nogo")][
        :2
    ]
    lines = []
    for clip in chosen:
        (tmp_path / f"{clip.name}.wav").write_bytes(wav_bytes((clip.samples * 32767).astype("<i2"), 16_000))
        lines.append(json.dumps({"path": f"{clip.name}.wav", "language": "en", "text": clip.text}))
    (tmp_path / "clips.jsonl").write_text("\n".join(lines))
    runtime = SpeechRuntime(open_recognizer(whisper_path), lambda: SileroModel(silero_path))
    monkeypatch.setattr(SpeechRuntime, "open", lambda *_, **__: runtime)

    report = tmp_path / "report.json"
    command = ["bench", "speech", "--manifest", str(tmp_path / "clips.jsonl"), "-o", str(report)]
    assert main(command) == 0
    out = capsys.readouterr().out.splitlines()
    full = json.loads(report.read_text())
    (summary,) = json.loads(out[-1])["summaries"]
    assert full["summaries"] == [summary]
    seconds = sum(len(clip.samples) for clip in chosen) / 16_000
    assert summary["seconds"] == pytest.approx(seconds, abs=0.01)
    for way in ("live", "whole"):
        assert summary[way]["word_error_rate"] < 0.3
        assert summary[way]["loops"] == []
        assert summary[way]["cpu_s_per_audio_s"] > 0
        assert all(each[way]["text"] for each in full["clips"])
    assert summary["first_display_s"]["p50"] <= summary["commit_latency_s"]["p50"]
    assert out[1].startswith("en")
