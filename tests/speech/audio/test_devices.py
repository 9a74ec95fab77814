"""Finding a microphone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.fake_portaudio import FakeDevice, FakePortAudio, PortAudioError

from edge_runtime.bench import doctor_findings
from edge_runtime.errors import AudioDeviceUnavailable
from edge_runtime.speech.audio import AudioDevice, find_input, list_audio_devices

DEVICES = (
    FakeDevice("Speakers", channels=(), outputs=2),
    FakeDevice("Built-in Audio", channels=(2,), outputs=2, rates_hz=(48_000,)),
    FakeDevice("USB Mic", channels=(1,), rates_hz=(44_100,)),
    FakeDevice("USB Mic Pro", channels=(1, 2)),
)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(DEVICES, default_input=1)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def test_devices_are_listed_with_rate_channels_and_default(fake: FakePortAudio) -> None:
    assert list_audio_devices()[1:3] == (
        AudioDevice(1, "Built-in Audio", "Fake API", 2, 2, 48_000, True, False),
        AudioDevice(2, "USB Mic", "Fake API", 1, 0, 44_100, False, False),
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(None, 1, id="default"),
        pytest.param(2, 2, id="index"),
        pytest.param("3", 3, id="index as text"),
        pytest.param("usb mic", 2, id="whole name, also part of another"),
        pytest.param("pro", 3, id="part of a name"),
        pytest.param("built-in audio, fake", 1, id="name and host API"),
    ],
)
def test_a_microphone_is_found_by_index_or_name(
    fake: FakePortAudio, wanted: int | str | None, found: int
) -> None:
    assert find_input(wanted).index == found


@pytest.mark.parametrize(
    ("wanted", "problem", "offered"),
    [
        ("usb", "2 microphones match 'usb'", "2 USB Mic (44100 Hz, 1 channel), 3 USB Mic Pro"),
        (
            "webcam",
            "there is no microphone 'webcam'",
            "1 Built-in Audio (48000 Hz, 2 channels, default), 2 USB",
        ),
        ("speakers", "there is no microphone 'speakers'", "1 Built-in Audio"),
        (0, "there is no microphone 0", "1 Built-in Audio"),
        (-1, "there is no microphone -1", "1 Built-in Audio"),
        ("", "there is no microphone ''", "1 Built-in Audio"),
    ],
)
def test_an_unclear_choice_lists_what_there_is(
    fake: FakePortAudio, wanted: int | str, problem: str, offered: str
) -> None:
    with pytest.raises(AudioDeviceUnavailable) as caught:
        find_input(wanted)
    assert str(caught.value) == problem
    assert offered in caught.value.hint


def test_without_a_default_the_first_microphone_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(DEVICES))
    assert find_input().name == "Built-in Audio"


def test_no_microphone_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(DEVICES[:1]))
    with pytest.raises(AudioDeviceUnavailable, match=r"^there is no microphone$"):
        find_input()


def test_portaudio_that_cannot_answer(fake: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[object]:
        raise PortAudioError("Error querying devices")

    monkeypatch.setattr(fake, "query_devices", fail)
    with pytest.raises(AudioDeviceUnavailable, match="cannot list the sound devices: Error querying devices"):
        list_audio_devices()


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioDeviceUnavailable, match="need the package sounddevice") as caught:
        list_audio_devices()
    assert 'pip install "edge-runtime[speech]"' in caught.value.hint


def test_without_portaudio_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AudioDeviceUnavailable, match="PortAudio library not found") as caught:
        list_audio_devices()
    assert "libportaudio2" in caught.value.hint


def test_doctor_sees_the_same_devices(fake: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")  # in this process, which has the devices
    found = doctor_findings.find_audio()
    assert found.inputs == ("Built-in Audio", "USB Mic", "USB Mic Pro")
    assert found.outputs == ("Speakers", "Built-in Audio")
    assert found.error == ""


def test_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    found = doctor_findings.find_audio()
    assert found.inputs == found.outputs == ()
    assert "sounddevice" in found.error
    assert "portaudio" not in found.error.lower()  # doctor would tell to install that instead
