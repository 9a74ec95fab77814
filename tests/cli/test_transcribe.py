"""`transcribe`, `translate` and `listen`: what they print, what they write, how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import srt
from support.sounds import wav_bytes
from support.tone_speech import pcm, tone_speech, write_saying

from edge_runtime.cli.command_line import main
from edge_runtime.cli.screen.exit_status import AUDIO, GOOD, MODEL, USAGE
from edge_runtime.speech.runtime import SpeechRuntime

TEXT = "good morning everybody. this is the second sentence."
_REAL_OPEN = SpeechRuntime.open
LINES = "good morning everybody.\nthis is the second sentence.\n"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpeechRuntime, "open", lambda *_, **__: tone_speech())


@pytest.fixture
def talk(tmp_path: Path) -> str:
    return str(write_saying(tmp_path / "talk.wav", TEXT))


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_text_goes_to_stdout_and_nothing_else_does(talk: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("transcribe", talk, capsys=capsys)
    assert (status, out) == (GOOD, LINES)


def test_srt_goes_to_stdout_as_well(talk: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("transcribe", talk, "--format", "srt", capsys=capsys)
    assert status == GOOD
    assert [entry.content for entry in srt.parse(out)] == TEXT.replace(". ", ".|").split("|")


def test_stream_ends_with_the_figures(talk: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("transcribe", talk, "--stream", "--format", "jsonl", "--words", capsys=capsys)
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert status == GOOD
    assert [line["type"] for line in lines[-2:]] == ["end", "stats"]
    assert {"partial", "final"} == {line["type"] for line in lines[:-2]}
    finals = [line for line in lines if line["type"] == "final" and line["text"]]
    assert " ".join(line["text"] for line in finals) == TEXT
    assert all(line["commit_latency_s"] >= 0 for line in finals)
    words = [word for line in finals for word in line["words"]]
    assert [word["text"] for word in words] == TEXT.split()
    assert words[0]["start_s"] == pytest.approx(0.5, abs=0.05)
    stats = lines[-1]
    assert stats["dropped_s"] == 0 and stats["cpu_s_per_audio_s"] > 0
    assert set(stats["commit_latency_s"]) == {"p50", "p90", "p95"}


def test_several_files_and_formats(talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = str(write_saying(tmp_path / "other.wav", "another talk."))
    folder = tmp_path / "out"
    status, out, _ = run("transcribe", talk, other, "-o", str(folder), "--format", "text,vtt", capsys=capsys)
    assert (status, out) == (GOOD, "")
    assert {path.name for path in folder.iterdir()} == {"talk.txt", "talk.vtt", "other.txt", "other.vtt"}
    assert (folder / "talk.txt").read_text() == LINES
    assert (folder / "other.txt").read_text() == "another talk.\n"


def test_a_file_that_fails_does_not_stop_the_rest(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    missing, empty = str(tmp_path / "missing.wav"), str(tmp_path / "empty.wav")
    status, out, err = run("transcribe", missing, empty, talk, capsys=capsys)
    assert (status, out) == (AUDIO, LINES)
    assert "missing.wav" in err and "empty.wav: the file is empty" in err


def test_a_recording_that_breaks_off_keeps_its_first_half(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path(talk).read_bytes()
    (tmp_path / "half.wav").write_bytes(whole[: len(whole) // 2])
    status, _, err = run("transcribe", str(tmp_path / "half.wav"), "-o", str(tmp_path / "o"), capsys=capsys)
    assert status == AUDIO
    assert "only" in err
    assert (tmp_path / "o" / "half.txt").read_text().startswith("good morning everybody.\n")


def test_nothing_starts_where_an_output_exists(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talk.srt").write_text("precious")
    arguments = ["transcribe", talk, "-o", str(tmp_path), "--format", "text", "--format", "srt"]
    with monkeypatch.context() as patch:
        patch.setattr(SpeechRuntime, "open", lambda *_, **__: pytest.fail("it was opened"))
        status, _, err = run(*arguments, capsys=capsys)
    assert status == USAGE
    assert "talk.srt exists already" in err and "--force" in err
    assert not (tmp_path / "talk.txt").exists()
    assert run(*arguments, "--force", capsys=capsys)[0] == GOOD
    assert "good morning" in (tmp_path / "talk.srt").read_text()


def test_two_recordings_of_one_name_are_refused(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_saying(tmp_path / "talk.wave", "x.")
    status, _, err = run("transcribe", talk, str(other), "-o", str(tmp_path / "o"), capsys=capsys)
    assert status == USAGE
    assert "would be written twice" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "docx"], "--format: 'docx'"),
        (["--format", "srt,vtt"], "several formats need -o"),
        (["--language", "Klingon"], "'Klingon' is not a language"),
        (["--threads", "many"], "--threads: 'many'"),
        (["-"], "each of the 2 recordings"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    arguments: list[str], told: str, talk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    srt_only = ["--format", "srt"] if arguments == ["-"] else []
    status, out, err = run("transcribe", talk, *arguments, *srt_only, capsys=capsys)
    assert (status, out) == (USAGE, "")
    assert told in err


def test_json_lines_of_several_recordings_say_which_one_they_are_of(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(write_saying(tmp_path / "other.wav", "another talk."))
    status, out, _ = run("transcribe", talk, other, "--format", "jsonl", capsys=capsys)
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == GOOD
    assert {line["file"] for line in lines} == {talk, other}
    assert [line["text"] for line in lines if line["file"] == other and line["text"]] == ["another talk."]
    _, out, _ = run("transcribe", talk, "--format", "jsonl", capsys=capsys)
    assert not any("file" in json.loads(line) for line in out.splitlines())


def test_a_recording_without_sound_leaves_no_file_that_blocks_the_next_try(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.wav"
    path.write_bytes(wav_bytes(np.zeros(0, np.int16), 16_000))
    folder = tmp_path / "out"
    for _ in range(2):
        status, _, err = run(
            "transcribe", str(path), "-o", str(folder), "--format", "text,srt,vtt", capsys=capsys
        )
        assert status == AUDIO
        assert "there is no sound in it" in err
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["transcribe", "listen"])
def test_nothing_on_standard_input_is_an_error(
    command: str, type_in: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(b"")
    folder = tmp_path / "out"
    status, _, err = run(command, "-", "-o", str(folder), capsys=capsys)
    assert status == AUDIO
    assert "standard input has no sound" in err
    assert list(folder.iterdir()) == []


def test_a_name_that_begins_with_a_dash_is_taken_or_explained(
    talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(talk).rename(tmp_path / "-talk.wav")
    for names in (("--", "-talk.wav"), ("./-talk.wav",)):
        assert run("transcribe", *names, capsys=capsys)[:2] == (GOOD, LINES)
    with pytest.raises(SystemExit) as caught:
        main(["transcribe", "-talk.wav"])
    assert caught.value.code == USAGE
    assert "give it as ./-talk.wav" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--rate=0", "--rate=-5", "--channels=0", "--rate=1e9"])
def test_absurd_rates_and_channels_are_refused(
    option: str, type_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(pcm(TEXT))
    status, _, err = run("transcribe", "-", option, capsys=capsys)
    assert status == USAGE
    assert option.partition("=")[0] in err


def test_samples_on_stdin_at_another_rate(type_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    samples = np.frombuffer(pcm(TEXT), "<i2").repeat(2)  # stereo, the same on both sides
    type_in(samples.tobytes())
    status, out, _ = run("transcribe", "-", "--channels", "2", capsys=capsys)
    assert (status, out) == (GOOD, LINES)


def test_listen_hears_samples_on_stdin(
    type_in: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(pcm(TEXT))
    status, out, _ = run("listen", "-", "-o", str(tmp_path / "o"), capsys=capsys)
    assert status == GOOD
    assert out == LINES
    (written,) = (tmp_path / "o").iterdir()
    assert written.name.startswith("listen-20") and written.read_text() == LINES


def test_the_recognizer_translates_to_english_and_says_it_is_a_gist(
    talk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run("translate", talk, "--to", "English", "--format", "jsonl", capsys=capsys)
    assert status == GOOD
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["text"].startswith("the good the morning")
    assert all(line["gist"] for line in lines)
    assert "a gist" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--to", "French"], "--translator"), (["--to", "Elvish"], "'Elvish' is not a language")],
)
def test_who_translates_is_asked_before_anything_starts(
    arguments: list[str], told: str, talk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run("translate", talk, *arguments, capsys=capsys)
    assert (status, out) == (USAGE, "")
    assert told in err


def test_a_chat_model_translates_each_utterance(
    talk: str, device: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    device.scripts = [["Bonjour à tous."], ["Voici la deuxième phrase."]]
    status, out, _ = run("translate", talk, "--to", "fr", "--translator", "any", capsys=capsys)
    assert status == GOOD
    assert out == "Bonjour à tous.\nVoici la deuxième phrase.\n"


def test_a_model_that_is_not_here_says_how_to_get_it(
    talk: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpeechRuntime, "open", _REAL_OPEN)
    status, _, err = run("transcribe", talk, capsys=capsys)
    assert status == MODEL
    assert "edge-runtime models pull whisper-base" in err
