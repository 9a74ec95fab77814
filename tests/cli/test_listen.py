"""`listen`: microphones that are made up, a terminal that is real, and Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from support.fake_portaudio import FakeDevice, FakePortAudio, Sound, Unplugged
from support.places import SUPPORT
from support.scripted_backend import Device
from support.tone_speech import RATE_HZ, ToneRecognizer, known_words, pcm, saying, tone_speech, write_saying

from edge_runtime.cli.command_line import main
from edge_runtime.cli.screen.exit_status import AUDIO, CANCELLED, GOOD
from edge_runtime.speech.recognition.recognizer import Recognition
from edge_runtime.speech.runtime import SpeechRuntime

if sys.platform != "win32":
    from support.pseudo_terminal import PseudoTerminal, child_environment

TEXT = "good morning everybody. this is the second sentence."
LINES = "good morning everybody.\nthis is the second sentence.\n"

Plug = Callable[..., None]


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpeechRuntime, "open", lambda *_, **__: tone_speech())


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    def plug(*devices: FakeDevice) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(devices, default_input=0))

    return plug


def unplugged_after(text: str) -> FakeDevice:
    script = [Sound(saying(text)[:, None]), Unplugged()]
    return FakeDevice("Desk", rates_hz=(RATE_HZ,), script=script)


def test_an_unplugged_microphone_is_told_and_what_it_heard_is_kept(
    plug: Plug, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plug(unplugged_after(TEXT))
    status = main(["listen", "-o", str(tmp_path / "o"), "--format", "text,srt"])
    out, err = capsys.readouterr()
    assert (status, out) == (AUDIO, LINES)
    assert "listening to Desk" in err
    assert "'Desk' stopped giving sound" in err
    written = {path.suffix: path.read_text() for path in (tmp_path / "o").iterdir()}
    assert written[".txt"] == LINES
    assert "this is the second sentence." in written[".srt"]


def test_a_microphone_that_is_not_there_loads_no_model(
    plug: Plug, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(FakeDevice("Desk"))
    monkeypatch.setattr(SpeechRuntime, "open", lambda *_, **__: pytest.fail("it was opened"))
    assert main(["listen", "--device", "Kitchen"]) == AUDIO
    err = capsys.readouterr().err
    assert "'Kitchen'" in err and "0 Desk" in err


@pytest.mark.parametrize(
    ("arguments", "recognizer"),
    [
        ([], "whisper-base"),
        (["--model", "whisper-large"], "whisper-large"),
        (["--model", "whisper-large", "--to", "en"], "whisper-large"),
        (["--translator", "any", "--to", "en"], "whisper-base"),
        (["--translator", "any", "--to", "en", "--model", "whisper-base"], "whisper-base"),
    ],
)
def test_model_is_the_recognizer_whatever_translates(
    arguments: list[str],
    recognizer: str,
    plug: Plug,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []

    def open_recognizer(model: str, **_: object) -> SpeechRuntime:
        opened.append(model)
        return tone_speech()

    monkeypatch.setattr(SpeechRuntime, "open", open_recognizer)
    device.scripts = [["One."]]
    plug(unplugged_after("one."))
    assert main(["listen", *arguments]) == AUDIO
    assert opened == [recognizer]
    assert [model for model, _ in device.opened] == (["any"] if "any" in arguments else [])


def test_microphones_are_listed(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    plug(FakeDevice("Desk"), FakeDevice("Loudspeaker", channels=(), outputs=2), FakeDevice("USB"))
    assert main(["listen", "--list-devices"]) == GOOD
    out = capsys.readouterr().out
    assert out.splitlines() == ["0 Desk (48000 Hz, 1 channel, default)", "2 USB (48000 Hz, 1 channel)"]


# --- Ctrl-C ----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal")
def test_ctrl_c_ends_listening_after_the_last_word(tmp_path: Path) -> None:
    """Pressed while the last word is not final yet: nobody else would ever have ended it."""
    command = [sys.executable, str(SUPPORT / "listening_child.py"), "one two three four", "listen"]
    with PseudoTerminal(command, child_environment(TERM="xterm"), tmp_path) as terminal:
        terminal.wait_for("listening to Desk")
        terminal.wait_for("\x1b[2m")  # a partial
        terminal.wait_for("three")
        terminal.type("\x03")
        assert terminal.wait() == GOOD
    assert "^C" not in terminal.output
    last = terminal.output.rsplit("\x1b[J", 1)[-1]
    assert last.startswith("one two three")
    assert "\x1b[2m" not in last


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal")
def test_a_terminal_that_cannot_redraw_shows_finals_alone(tmp_path: Path) -> None:
    command = [sys.executable, str(SUPPORT / "listening_child.py"), "one two. three four.", "listen"]
    with PseudoTerminal(command, child_environment(TERM="dumb"), tmp_path) as terminal:
        terminal.wait_for("one two.\r\n")
        terminal.wait_for("three four.\r\n")
        terminal.type("\x03")
        assert terminal.wait() == GOOD
    assert "\x1b" not in terminal.output


def pressing(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is pressed while the first piece of sound is recognized."""
    real = ToneRecognizer.recognize
    left = [signal.SIGINT] * count

    def recognize(self: ToneRecognizer, *args: object, **keywords: object) -> Recognition:
        found = real(self, *args, **keywords)  # type: ignore[arg-type]
        while left:
            signal.raise_signal(left.pop())
        return found

    monkeypatch.setattr(ToneRecognizer, "recognize", recognize)


def test_ctrl_c_ends_a_recording_after_what_was_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_saying(tmp_path / "talk.wav", " ".join(f"word {n} of a long talk." for n in range(200)))
    pressing(1, monkeypatch)
    status = main(["transcribe", str(path), "-o", str(tmp_path / "o"), "--format", "text,jsonl"])
    assert status == CANCELLED
    lines = (tmp_path / "o" / "talk.txt").read_text().splitlines()
    assert 0 < len(lines) < 200
    assert lines == [f"word {n} of a long talk." for n in range(len(lines))]
    assert '"type": "end"' in (tmp_path / "o" / "talk.jsonl").read_text().splitlines()[-1]


def test_ctrl_c_twice_leaves_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_saying(tmp_path / "talk.wav", TEXT)
    pressing(2, monkeypatch)
    assert main(["transcribe", str(path), str(path)]) == CANCELLED
    out, err = capsys.readouterr()
    assert (out, "cancelled" in err) == ("", True)


def test_quiet_is_no_text(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    silence = np.zeros((RATE_HZ, 1), np.float32)
    plug(FakeDevice("Desk", rates_hz=(RATE_HZ,), script=[Sound(silence), Unplugged()]))
    assert main(["listen"]) == AUDIO
    assert capsys.readouterr().out == ""


def on_a_pipe(*arguments: str, said: str, signals: list[int]) -> tuple[int, str, str]:
    """Speech on a pipe that then stays open; -> status, stdout and stderr after the signals."""
    samples = pcm(said)
    command = [sys.executable, str(SUPPORT / "listening_child.py"), known_words(), *arguments]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE) as child:
        assert child.stdin and child.stdout and child.stderr
        try:
            child.stdin.write(samples)
            child.stdin.flush()
            time.sleep(4.0)  # the child has to start, and to hear
            for number in signals:
                child.send_signal(number)
            status = child.wait(timeout=20.0)
            return status, child.stdout.read().decode(), child.stderr.read().decode()
        finally:
            child.kill()
            child.stdin.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("command", ["listen", "transcribe"])
def test_each_signal_to_end_keeps_what_was_heard_of_a_pipe_that_stays_open(name: str, command: str) -> None:
    number = getattr(signal, name)
    status, out, err = on_a_pipe(command, "-", said="good morning. see you", signals=[number])
    assert out.split() == "good morning. see you".split()
    assert status == (GOOD if command == "listen" else CANCELLED)
    assert "Fatal" not in err and "Traceback" not in err
