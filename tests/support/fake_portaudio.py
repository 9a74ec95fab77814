"""Microphones that exist on no machine: a stand-in for the module `sounddevice`.

    device = FakeDevice("USB", rates_hz=(48_000,), channels=(2,), script=[Sound(frames), Unplugged()])
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio([device]))

A stream calls the real callback from a thread of its own, in periods, as PortAudio does: with a
buffer that is valid during the call only, and time stamps by the device's clock. The clock is
simulated: it runs as fast as the callback returns, unless the device is in_real_time.
"""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONGEST_WAIT_S = 60.0  # a test that hangs should fail, not wait for ever
_CLOCK_START_S = 1_000.0


class PortAudioError(Exception):
    pass


@dataclass(frozen=True)
class Sound:
    """Frames that the device records; what it lost just before them, and whether it can tell by its clock."""

    frames: NDArray[np.float32]  # (n, channels)
    lost_frames: int = 0
    clock_is_right: bool = True


@dataclass(frozen=True)
class Unplugged:
    """The device goes away. PortAudio notices; or still says it is active; or fails when asked."""

    noticed: bool = True
    asking_fails: bool = False


@dataclass(frozen=True)
class Pause:
    """The device waits: `reached` is set, and recording goes on after `go_on` is."""

    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@dataclass
class FakeDevice:
    name: str
    rates_hz: tuple[int, ...] = (48_000,)
    channels: tuple[int, ...] = (1,)  # counts that it can be opened with; none: no microphone
    outputs: int = 0
    default_rate_hz: int | None = None  # None: the first of rates_hz
    script: Sequence[Sound | Unplugged | Pause] = ()
    period_frames: int = 480
    in_real_time: bool = False
    refuses_to_open: str = ""
    done: threading.Event = field(default_factory=threading.Event)  # the script has been played
    opened_with: list[tuple[int, int]] = field(default_factory=list)  # (rate, channels)


class FakePortAudio(types.ModuleType):
    PortAudioError = PortAudioError

    def __init__(self, devices: Sequence[FakeDevice], *, default_input: int = -1) -> None:
        super().__init__("sounddevice")
        self._devices = devices
        self.default = types.SimpleNamespace(device=[default_input, -1])

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "Fake API"}]

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": device.name,
                "hostapi": 0,
                "max_input_channels": max(device.channels, default=0),
                "max_output_channels": device.outputs,
                "default_samplerate": float(device.default_rate_hz or device.rates_hz[0]),
            }
            for device in self._devices
        ]

    def check_input_settings(self, *, device: int, channels: int, dtype: str, samplerate: int) -> None:
        assert dtype == "float32"
        if channels not in self._devices[device].channels:
            raise PortAudioError("Invalid number of channels [PaErrorCode -9998]")
        if samplerate not in self._devices[device].rates_hz:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    def InputStream(self, *, device: int, **settings: Any) -> FakeStream:
        self.check_input_settings(
            device=device, **{name: settings[name] for name in ("channels", "dtype", "samplerate")}
        )
        return FakeStream(self._devices[device], **settings)


class FakeStream:
    def __init__(
        self,
        device: FakeDevice,
        *,
        samplerate: int,
        channels: int,
        dtype: str,
        callback: Callable[..., None],
        finished_callback: Callable[[], None],
    ) -> None:
        if device.refuses_to_open:
            raise PortAudioError(device.refuses_to_open)
        device.opened_with.append((samplerate, channels))
        self._device = device
        self._rate_hz, self._channels = samplerate, channels
        self._callback, self._finished = callback, finished_callback
        self._buffer = np.zeros((device.period_frames, channels), np.float32)
        self._clock_s = _CLOCK_START_S
        self._stop = threading.Event()
        self._ended = self._asking_fails = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def active(self) -> bool:
        if self._asking_fails:
            raise PortAudioError("Invalid stream pointer [PaErrorCode -9988]")
        return not self._ended

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns after the last callback, as Pa_StopStream does."""
        self._stop.set()
        self._thread.join(_LONGEST_WAIT_S)
        assert not self._thread.is_alive(), "the callback does not return"

    def close(self) -> None:
        self.stop()

    def _run(self) -> None:
        for step in self._device.script:
            if self._stop.is_set():
                break
            if isinstance(step, Sound):
                self._play(step)
            elif isinstance(step, Pause):
                step.reached.set()
                assert step.go_on.wait(_LONGEST_WAIT_S)
            elif step.noticed:
                self._ended = True
            else:
                self._asking_fails = step.asking_fails
                self._device.done.set()
                self._stop.wait(_LONGEST_WAIT_S)
        self._device.done.set()
        if not self._ended:
            assert self._stop.wait(_LONGEST_WAIT_S), "nobody stopped the stream"
        self._ended = True
        self._finished()

    def _play(self, sound: Sound) -> None:
        lost = sound.lost_frames
        self._clock_s += lost / self._rate_hz if sound.clock_is_right else 0
        for frames in self._periods(sound.frames):
            if self._stop.is_set():
                return
            if self._device.in_real_time:
                time.sleep(len(frames) / self._rate_hz)
            stamps = types.SimpleNamespace(inputBufferAdcTime=self._clock_s)
            status = types.SimpleNamespace(input_overflow=lost > 0)
            lost = 0
            self._buffer[: len(frames)] = frames
            self._callback(self._buffer[: len(frames)], len(frames), stamps, status)
            self._buffer[:] = np.nan  # whoever keeps a view of it will notice
            self._clock_s += len(frames) / self._rate_hz

    def _periods(self, frames: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        assert frames.shape[1] == self._channels
        size = self._device.period_frames
        return (frames[start : start + size] for start in range(0, len(frames), size))
