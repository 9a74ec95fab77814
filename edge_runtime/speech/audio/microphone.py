"""Live sound through PortAudio. Its callback copies into a ring, and does nothing else."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import AudioDeviceUnavailable
from ...values.checks import require_range, whole_number
from .block import AudioBlock, as_float
from .capture_ring import CaptureRing
from .devices import AudioDevice, describe_inputs, find_input, list_audio_devices
from .libraries import load_sounddevice
from .mono import MonoMixer
from .resampler import Resampler
from .speech_blocks import BLOCK_MS, SpeechBlocks

_OTHER_RATES_HZ = (48_000, 44_100, 16_000)
_LONGEST_STUTTER_S = 60.0


@dataclass(frozen=True)
class CaptureOptions:
    block_ms: int = BLOCK_MS
    ring_s: float = 30.0  # what a busy reader may leave waiting: 5.8 MB at 48 kHz mono
    quiet_limit_s: float = 5.0  # a device that gives nothing for so long is taken to be gone

    def __post_init__(self) -> None:
        """Raises OptionInvalid."""
        object.__setattr__(self, "block_ms", whole_number("block_ms", self.block_ms, 10, 10_000))
        require_range("ring_s", self.ring_s, 2 * self.block_ms / 1000, 600.0)
        require_range("quiet_limit_s", self.quiet_limit_s, 0.1, 600.0)


class Microphone:
    """A microphone that records from its creation until stop(), a source for SpeechRuntime.listen.

        with Microphone("USB") as microphone:
            for event in runtime.listen(microphone): ...

    device: its index, name or a part of its name, as list_audio_devices() has them; default: the
    system's. It is opened at its own rate, and its channels are mixed: iterating, once, gives mono
    blocks at 16 kHz. A reader that is slower than the sound has 30 s to catch up; what is lost
    then is in `dropped_s`, and in the block after it.

    stop() may be called from any thread; iteration then ends after what the ring still holds. When the
    device goes away, iteration raises AudioDeviceUnavailable after all sound that it gave.
    """

    duration_s = None

    def __init__(self, device: int | str | None = None, options: CaptureOptions | None = None) -> None:
        """Raises AudioDeviceUnavailable: no PortAudio, no such device, or it cannot be opened.

        Raises AudioFormatUnsupported when its rate needs soxr, and that is missing.
        """
        self.device = find_input(device)
        self._options = options or CaptureOptions()
        self._sounddevice = load_sounddevice()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put takes no lock of Python's
        self._stopping = False  # we asked for the end
        self._over = False  # the audio thread writes nothing more
        self._next_stamp_s = 0.0  # when the next sample should be recorded, by the device's clock
        self._frames_seen = self._quiet_waits = 0
        self.rate_hz, self.channels = self._choose_settings()
        Resampler(self.rate_hz)  # if soxr is missing, say so before the recording begins
        self._ring = CaptureRing(round(self._options.ring_s * self.rate_hz), self.channels)
        self._wanted_frames = self.rate_hz * self._options.block_ms // 1000
        self._stream = self._start()

    @property
    def dropped_s(self) -> float:
        """How much was lost so far, because the reader was too slow or the device could not wait."""
        return self._ring.dropped_frames / self.rate_hz

    def __iter__(self) -> Iterator[AudioBlock]:
        """Raises AudioDeviceUnavailable when the device goes away, after all that it gave."""
        blocks, mixer = SpeechBlocks(self._options.block_ms), MonoMixer()
        while True:
            over = self._over  # before the ring is read
            if over or self._ring.waiting_frames >= self._wanted_frames:
                captured = self._ring.read(self._wanted_frames)
                if len(captured.frames):
                    samples = mixer.mix(as_float(captured.frames), self.rate_hz)
                    yield from blocks.push(samples, self.rate_hz, lost_before=captured.lost_before_frames)
                elif over:
                    break
            else:
                self._wait()
        yield from blocks.finish()
        if not self._stopping:
            self.stop()
            raise self._gone_error()

    def stop(self) -> None:
        """End the recording. Again: does nothing."""
        self._stopping = True
        self._stream.stop()
        self._stream.close()
        self._finished()

    def __enter__(self) -> Microphone:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- the audio thread ------------------------------------------------------------

    def _capture(self, frames: NDArray[np.float32], count: int, stamps: Any, status: Any) -> None:
        """PortAudio's callback. frames: (count, channels), its own memory, valid until we return."""
        stamp_s = stamps.inputBufferAdcTime
        lost = self._stuttered_frames(stamp_s) if status.input_overflow else 0
        self._next_stamp_s = stamp_s + count / self.rate_hz
        self._ring.write(frames, lost_before=lost)
        if self._ring.waiting_frames >= self._wanted_frames and self._wake.empty():
            self._wake.put(None)

    def _stuttered_frames(self, stamp_s: float) -> int:
        """What the device lost, by its clock; 1 where that is unknown, as its flag is true all the same."""
        late_s = stamp_s - self._next_stamp_s
        believable = self._next_stamp_s > 0 and 0 < late_s < _LONGEST_STUTTER_S
        return max(1, round(late_s * self.rate_hz)) if believable else 1

    def _finished(self) -> None:
        """PortAudio's stream has ended: its last callback is done."""
        self._over = True
        self._wake.put(None)

    # --- the reading thread ----------------------------------------------------------

    def _wait(self) -> None:
        """Until there is enough, or for half a second to see whether the device is still there."""
        wait_s = min(self._options.quiet_limit_s, 0.5)
        try:
            self._wake.get(timeout=wait_s)
        except queue.Empty:
            frames = self._ring.written_frames
            self._quiet_waits = self._quiet_waits + 1 if frames == self._frames_seen else 0
            self._frames_seen = frames
            too_quiet = self._quiet_waits * wait_s >= self._options.quiet_limit_s
            self._over = self._over or too_quiet or not self._is_active()

    def _is_active(self) -> bool:
        try:
            return bool(self._stream.active)
        except self._sounddevice.PortAudioError:
            return False

    # --- opening ---------------------------------------------------------------------

    def _choose_settings(self) -> tuple[int, int]:
        """The first (rate, channels) that the device has; its own rate, and one channel, if it can.

        ALSA would resample to 16 kHz itself, but by joining the dots.
        """
        device, refused = self.device, ""
        rates_hz = dict.fromkeys((device.default_rate_hz, *_OTHER_RATES_HZ))  # each once, in this order
        all_channels = dict.fromkeys((1, min(2, device.input_channels), device.input_channels))
        for rate_hz in rates_hz:
            for channels in all_channels:
                try:
                    self._sounddevice.check_input_settings(
                        device=device.index, channels=channels, dtype="float32", samplerate=rate_hz
                    )
                except (self._sounddevice.PortAudioError, ValueError) as error:
                    refused = refused or str(error)
                else:
                    return rate_hz, channels
        raise self._open_error(refused)

    def _start(self) -> Any:
        try:
            stream = self._sounddevice.InputStream(
                device=self.device.index,
                samplerate=self.rate_hz,
                channels=self.channels,
                dtype="float32",
                callback=self._capture,
                finished_callback=self._finished,
            )
            stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._open_error(str(error)) from error
        return stream

    def _open_error(self, reason: str) -> AudioDeviceUnavailable:
        return AudioDeviceUnavailable(
            f"the microphone {self.device.name!r} cannot be opened: {reason}",
            hint=f"does another program hold it? {self._others()}",
            device=self.device.name,
        )

    def _gone_error(self) -> AudioDeviceUnavailable:
        return AudioDeviceUnavailable(
            f"the microphone {self.device.name!r} stopped giving sound; it may have been unplugged",
            hint=f"plug it in again; {self._others()}",
            device=self.device.name,
            dropped_s=self.dropped_s,
        )

    def _others(self) -> str:
        others: list[AudioDevice] = []
        with suppress(AudioDeviceUnavailable):
            others = [d for d in list_audio_devices() if d.input_channels and d.index != self.device.index]
        return f"others: {describe_inputs(others)}" if others else "there is no other"
