"""The microphone, driven by a PortAudio that is made up: every device, every way to fail."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from support.fake_portaudio import FakeDevice, FakePortAudio, Pause, Sound, Unplugged
from support.sounds import joined, sine

from edge_runtime.errors import AudioDeviceUnavailable, AudioFormatUnsupported, OptionInvalid
from edge_runtime.speech.audio import AudioBlock, CaptureOptions, Microphone

WAIT_S = 60.0

Plug = Callable[..., None]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """plug(device, ...): these are the devices of this machine."""

    def plug(*devices: FakeDevice) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(devices, default_input=0))

    return plug


def mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples[:, None]


def recorded(device: FakeDevice, options: CaptureOptions | None = None) -> list[AudioBlock]:
    """All that the device gives until its script ends and stop() is called."""
    with Microphone(options=options) as microphone:
        assert device.done.wait(WAIT_S)
        microphone.stop()
        return list(microphone)


def until_error(microphone: Microphone) -> tuple[list[AudioBlock], AudioDeviceUnavailable]:
    blocks: list[AudioBlock] = []
    with pytest.raises(AudioDeviceUnavailable) as caught:
        for block in microphone:
            blocks.append(block)  # extend() would lose them at the error
    return blocks, caught.value


@pytest.mark.parametrize(
    ("rates_hz", "channels", "opened_with"),
    [
        pytest.param((48_000,), (2,), (48_000, 2), id="only 48 kHz stereo"),
        pytest.param((44_100,), (1, 2), (44_100, 1), id="44.1 kHz"),
        pytest.param((48_000, 16_000), (1,), (48_000, 1), id="its own rate, not one that is converted"),
        pytest.param((16_000,), (1,), (16_000, 1), id="16 kHz"),
        pytest.param((96_000,), (8,), (96_000, 8), id="an interface with eight inputs"),
    ],
)
def test_any_rate_and_channel_count_becomes_mono_at_16_khz(
    plug: Plug, rates_hz: tuple[int, ...], channels: tuple[int, ...], opened_with: tuple[int, int]
) -> None:
    rate_hz, count = opened_with
    frames = np.repeat(mono(sine(1.05, rate_hz)), count, axis=1)
    device = FakeDevice("Mic", rates_hz, channels, script=[Sound(frames)])
    plug(device)
    blocks = recorded(device)
    assert device.opened_with == [opened_with]
    found = joined(blocks)
    assert len(found) == round(1.05 * 16_000)
    np.testing.assert_allclose(found[800:-800], sine(1.05, 16_000)[800:-800], atol=2e-3)
    assert [len(block.samples) for block in blocks] == [1600] * 10 + [800]


def test_a_default_rate_that_the_device_refuses_is_not_insisted_on(plug: Plug) -> None:
    device = FakeDevice("Odd", (44_100,), default_rate_hz=8_000, script=[Sound(mono(sine(0.1, 44_100)))])
    plug(device)
    recorded(device)
    assert device.opened_with == [(44_100, 1)]


def test_sound_arrives_while_it_is_recorded(plug: Plug) -> None:
    device = FakeDevice("Mic", script=[Sound(mono(sine(0.35, 48_000)))], in_real_time=True)
    plug(device)
    with Microphone() as microphone:
        blocks = iter(microphone)
        found = [next(blocks), next(blocks)]  # the device is silent after its script: these came before
        microphone.stop()
        found += blocks
    joined(found)
    assert [len(block.samples) for block in found[:2]] == [1600, 1600]


def test_stop_from_another_thread_ends_a_reader_that_waits(plug: Plug) -> None:
    pause = Pause()
    plug(FakeDevice("Mic", script=[Sound(mono(sine(0.25, 48_000))), pause]))
    microphone = Microphone()
    found: list[AudioBlock] = []
    reader = threading.Thread(target=lambda: found.extend(microphone))
    reader.start()
    assert pause.reached.wait(WAIT_S)
    pause.go_on.set()
    microphone.stop()
    reader.join(WAIT_S)
    assert not reader.is_alive()
    assert len(joined(found)) == 4_000  # the last 50 ms, too
    microphone.stop()


# --- what is lost ----------------------------------------------------------------------


def test_a_reader_that_is_too_slow_loses_sound_but_not_the_time(plug: Plug) -> None:
    pause = Pause()
    first, second = mono(sine(1.5, 48_000)), mono(sine(0.5, 48_000))
    device = FakeDevice("Mic", script=[Sound(first), pause, Sound(second)])
    plug(device)
    with Microphone(options=CaptureOptions(ring_s=1.0)) as microphone:
        assert pause.reached.wait(WAIT_S)  # 1.5 s were recorded, nobody has read
        blocks = iter(microphone)
        found = [next(blocks) for _ in range(9)]
        pause.go_on.set()
        assert device.done.wait(WAIT_S)
        microphone.stop()
        found += blocks
        assert microphone.dropped_s == pytest.approx(0.5)
    assert len(joined(found)) == 24_000
    assert found[-1].end_sample == 32_000
    assert [(b.start_sample, b.dropped_samples) for b in found if b.dropped_samples] == [(24_000, 8_000)]


@pytest.mark.parametrize(
    ("clock_is_right", "lost"), [pytest.param(True, 4_000, id="clock"), pytest.param(False, 1, id="no clock")]
)
def test_what_the_device_says_it_lost_is_measured_by_its_clock(
    plug: Plug, clock_is_right: bool, lost: int
) -> None:
    piece = mono(sine(0.5, 48_000))
    device = FakeDevice("Mic", script=[Sound(piece), Sound(piece, 12_000, clock_is_right)])
    plug(device)
    blocks = recorded(device)
    joined(blocks)
    assert [(b.start_sample, b.dropped_samples) for b in blocks if b.dropped_samples] == [
        (8_000 + lost, lost)
    ]


def test_an_overflow_before_the_first_sample_moves_nothing_far(plug: Plug) -> None:
    """ALSA raises the flag when a stream starts; the clock then says nothing about a loss."""
    device = FakeDevice("Mic", script=[Sound(mono(sine(0.5, 48_000)), lost_frames=48_000)])
    plug(device)
    assert recorded(device)[0].start_sample == 1


# --- what goes wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "quiet_limit_s"),
    [
        pytest.param(Unplugged(), 60.0, id="PortAudio notices"),
        pytest.param(Unplugged(noticed=False), 0.2, id="it goes quiet"),
        pytest.param(Unplugged(noticed=False, asking_fails=True), 60.0, id="it cannot be asked"),
    ],
)
def test_an_unplugged_device_gives_what_it_had_and_then_the_others(
    plug: Plug, end: Unplugged, quiet_limit_s: float
) -> None:
    script = [Sound(mono(sine(0.55, 48_000))), end]
    plug(FakeDevice("USB Mic", script=script), FakeDevice("Built-in"), FakeDevice("Speakers", channels=()))
    blocks, error = until_error(Microphone(options=CaptureOptions(quiet_limit_s=quiet_limit_s)))
    assert len(joined(blocks)) == 8_800
    assert str(error) == "the microphone 'USB Mic' stopped giving sound; it may have been unplugged"
    assert error.hint == "plug it in again; others: 1 Built-in (48000 Hz, 1 channel)"


def test_a_device_that_never_gives_anything_is_gone(plug: Plug) -> None:
    plug(FakeDevice("Dead", script=[Unplugged(noticed=False)]))
    blocks, error = until_error(Microphone(options=CaptureOptions(quiet_limit_s=0.2)))
    assert blocks == []
    assert error.hint == "plug it in again; there is no other"


def test_a_device_that_another_program_holds_names_the_others(plug: Plug) -> None:
    plug(FakeDevice("Mic", refuses_to_open="Device unavailable [PaErrorCode -9985]"), FakeDevice("Headset"))
    with pytest.raises(AudioDeviceUnavailable, match="'Mic' cannot be opened: Device unavailable") as caught:
        Microphone()
    assert "others: 1 Headset" in caught.value.hint


def test_a_device_that_has_no_rate_we_know_says_why(plug: Plug) -> None:
    plug(FakeDevice("Mic", rates_hz=(12_345,), default_rate_hz=8_000))
    with pytest.raises(AudioDeviceUnavailable, match="cannot be opened: Invalid sample rate"):
        Microphone()


def test_without_soxr_the_error_comes_before_the_recording(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FakeDevice("Mic")
    plug(device)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(AudioFormatUnsupported, match="48000 Hz needs the package soxr"):
        Microphone()
    assert device.opened_with == []


@pytest.mark.parametrize("name", ["block_ms", "ring_s", "quiet_limit_s"])
def test_options_outside_their_range_are_refused(name: str) -> None:
    with pytest.raises(OptionInvalid, match=f"{name}: 0 is not a (whole )?number"):
        CaptureOptions(**{name: 0})  # type: ignore[arg-type]
