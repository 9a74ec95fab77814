"""Sources of sound that can be stopped, from file names, standard input or any AudioSource."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioFormatUnsupported, OptionInvalid
from ..values.checks import whole_number
from .audio import SPEECH_RATE_HZ, ArraySource, AudioBlock, AudioFile, AudioSource, PcmStream
from .audio.resampler import RATES_HZ
from .listening import ListenKeywords, TranscribeKeywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

STANDARD_INPUT = "-"

# A file by name or open for bytes, "-" for standard input, samples, or any other source.
SoundSource = str | os.PathLike[str] | BinaryIO | NDArray[Any] | AudioSource


class SourceKeywords(TypedDict, total=False):
    """How a source is to be read; None and absent mean the default."""

    track: int | str | None  # of several sound tracks, number from 1 on or language; default: as players
    rate_hz: int | None  # of an array and of raw samples; default: 16000
    channels: int | None  # of raw samples; default: 1


class TranscriptionKeywords(TranscribeKeywords, SourceKeywords, total=False):
    """The keyword arguments of SpeechRuntime.transcribe."""


class ListeningKeywords(ListenKeywords, SourceKeywords, total=False):
    """The keyword arguments of SpeechRuntime.listen."""


def split_keywords(options: Mapping[str, Any]) -> tuple[SourceKeywords, dict[str, Any]]:
    """Those of the source, and the others."""
    how = {name: value for name, value in options.items() if name in SourceKeywords.__annotations__}
    return cast(SourceKeywords, how), {name: options[name] for name in options if name not in how}


def open_source(source: SoundSource, **how: Unpack[SourceKeywords]) -> AudioSource:
    """Raw samples on standard input are 16-bit integers, low byte first.

    Raises AudioFormatUnsupported, and OptionInvalid for absurd rates and channels, and for what is
    no source of sound.
    """
    rate_hz, channels, track = how.get("rate_hz"), how.get("channels"), how.get("track")
    rate_hz = SPEECH_RATE_HZ if rate_hz is None else whole_number("rate_hz", rate_hz, *RATES_HZ)
    channels = 1 if channels is None else channels
    if isinstance(source, str) and source == STANDARD_INPUT:
        if sys.stdin is None:
            raise AudioFormatUnsupported(
                "standard input is closed", hint="send samples to it, or name a file"
            )
        return PcmStream(sys.stdin.buffer, rate_hz=rate_hz, channels=channels, track=track)
    if isinstance(source, (str, os.PathLike)):
        return AudioFile(source, track=track)
    if isinstance(source, np.ndarray):
        return ArraySource(source, rate_hz)
    if hasattr(source, "read"):
        return _open_stream(source, rate_hz, channels, track)
    if hasattr(source, "__iter__") and hasattr(source, "duration_s"):
        return source
    raise OptionInvalid(
        f"source: {type(source).__name__} is no source of sound",
        hint="give a file's name, a file open for bytes, an array with rate_hz=, or an AudioSource; bytes of"
        " a file go into io.BytesIO",
        option="source",
    )


def _open_stream(stream: Any, rate_hz: int, channels: int, track: int | str | None) -> AudioSource:
    if isinstance(stream, io.TextIOBase):
        raise OptionInvalid(
            "source: a file that is open for text",
            hint='open it for bytes: open(name, "rb")',
            option="source",
        )
    if stream.seekable():
        return AudioFile(stream, track=track)
    return PcmStream(stream, rate_hz=rate_hz, channels=channels, track=track)


class StoppableSource:
    """Any source; stop() ends it after the block under way, from any thread or signal handler."""

    def __init__(self, source: AudioSource) -> None:
        self._source = source
        self._stopped = False

    @property
    def duration_s(self) -> float | None:
        return self._source.duration_s

    def __iter__(self) -> Iterator[AudioBlock]:
        """A source that can be stopped itself gives what it has read."""
        for block in self._source:
            if self._stopped and not hasattr(self._source, "stop"):
                return
            yield block

    def stop(self) -> None:
        self._stopped = True
        stop = getattr(self._source, "stop", None)
        if stop is not None:
            stop()
