"""The microphones and loudspeakers that PortAudio knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import AudioDeviceUnavailable
from .libraries import load_sounddevice


@dataclass(frozen=True)
class AudioDevice:
    index: int  # PortAudio's; changes when something is plugged in
    name: str
    host_api: str  # "ALSA", "Core Audio", "Windows WASAPI"
    input_channels: int
    output_channels: int
    default_rate_hz: int
    is_default_input: bool
    is_default_output: bool


def list_audio_devices() -> tuple[AudioDevice, ...]:
    """Everything that records or plays. What was plugged in after PortAudio was loaded is missing.

    Raises AudioDeviceUnavailable when sounddevice or PortAudio cannot be loaded or asked.
    """
    sounddevice = load_sounddevice()
    try:
        apis = [str(api["name"]) for api in sounddevice.query_hostapis()]
        found = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise AudioDeviceUnavailable(
            f"PortAudio cannot list the sound devices: {error}",
            hint="edge-runtime doctor shows what it finds",
        ) from error
    defaults = sounddevice.default.device
    return tuple(_device(index, entry, apis, defaults) for index, entry in enumerate(found))


def _device(
    index: int, entry: dict[str, Any], apis: Sequence[str], defaults: Sequence[object]
) -> AudioDevice:
    return AudioDevice(
        index=index,
        name=str(entry["name"]),
        host_api=apis[entry["hostapi"]],
        input_channels=int(entry["max_input_channels"]),
        output_channels=int(entry["max_output_channels"]),
        default_rate_hz=round(entry["default_samplerate"]),
        is_default_input=index == defaults[0],
        is_default_output=index == defaults[1],
    )


def find_input(wanted: int | str | None = None) -> AudioDevice:
    """The microphone with that index, name or part of a name; the default one for None.

    Raises AudioDeviceUnavailable, listing the microphones there are.
    """
    inputs = [device for device in list_audio_devices() if device.input_channels > 0]
    if not inputs:
        raise AudioDeviceUnavailable(
            "there is no microphone", hint="plug one in; edge-runtime doctor shows the sound devices"
        )
    if wanted is None:
        return next((device for device in inputs if device.is_default_input), inputs[0])
    matches = _matching(inputs, wanted)
    if len(matches) == 1:
        return matches[0]
    problem = f"{len(matches)} microphones match" if matches else "there is no microphone"
    raise AudioDeviceUnavailable(
        f"{problem} {wanted!r}", hint=f"choose one of: {describe_inputs(matches or inputs)}", device=wanted
    )


def _matching(inputs: list[AudioDevice], wanted: int | str) -> list[AudioDevice]:
    """By index; else those of that very name; else those with the words in their name and host API."""
    text = str(wanted).strip().lower()
    by_index = [device for device in inputs if str(device.index) == text]
    by_name = [device for device in inputs if device.name.lower() == text]
    by_part = [device for device in inputs if text and text in f"{device.name}, {device.host_api}".lower()]
    return by_index or by_name or by_part


def describe_inputs(inputs: Sequence[AudioDevice]) -> str:
    """One line: '0 Built-in (48000 Hz, 1 channel, default), 3 USB (44100 Hz, 2 channels)'."""
    return ", ".join(_describe(device) for device in inputs)


def _describe(device: AudioDevice) -> str:
    plural = "" if device.input_channels == 1 else "s"
    default = ", default" if device.is_default_input else ""
    facts = f"{device.default_rate_hz} Hz, {device.input_channels} channel{plural}{default}"
    return f"{device.index} {device.name} ({facts})"
