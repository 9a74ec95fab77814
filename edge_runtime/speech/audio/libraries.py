"""The packages that sound needs, loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...errors import AudioDeviceUnavailable, AudioFormatUnsupported

_INSTALL = 'pip install "edge-runtime[speech]"'
_INSTALL_PORTAUDIO = "sudo apt install libportaudio2 (Debian), or brew install portaudio (macOS)"


def load_av() -> Any:
    """PyAV, FFmpeg's libraries in a wheel. Raises AudioFormatUnsupported."""
    try:
        return import_module("av")
    except (ImportError, OSError) as error:
        raise AudioFormatUnsupported(
            f"sound files need the package av (PyAV), which does not load: {error}",
            hint=f"{_INSTALL}, or send raw samples to standard input",
        ) from error


def load_soxr(rate_hz: int) -> Any:
    """The resampler. Raises AudioFormatUnsupported, naming the rate that needs it."""
    try:
        return import_module("soxr")
    except (ImportError, OSError) as error:
        raise AudioFormatUnsupported(
            f"sound at {rate_hz} Hz needs the package soxr, which does not load: {error}",
            hint=f"{_INSTALL}, or give sound at 16000 Hz",
            rate_hz=rate_hz,
        ) from error


def load_sounddevice() -> Any:
    """The binding to PortAudio. Raises AudioDeviceUnavailable."""
    try:
        return import_module("sounddevice")
    except ImportError as error:
        raise AudioDeviceUnavailable(
            f"microphones need the package sounddevice, which does not load: {error}", hint=_INSTALL
        ) from error
    except OSError as error:  # the package is here; what it binds to is not
        raise AudioDeviceUnavailable(
            f"microphones need the PortAudio library, which does not load: {error}", hint=_INSTALL_PORTAUDIO
        ) from error
