"""Sources of sound that can be stopped, from file names, standard input or any AudioSource."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from ..errors import AudioFormatUnsupported
from .audio import AudioBlock, AudioFile, AudioSource, PcmFormat, PcmStream

STANDARD_INPUT = "-"

SoundSource = str | os.PathLike[str] | AudioSource  # a file, "-" for samples on stdin, or any other source


def open_source(source: SoundSource, *, rate_hz: int = 16_000, channels: int = 1) -> AudioSource:
    """rate_hz, channels: of raw samples on standard input, which are 16-bit integers, low byte first.

    Raises AudioFormatUnsupported, and OptionInvalid for absurd rates and channels.
    """
    if source == STANDARD_INPUT:
        if sys.stdin is None:
            raise AudioFormatUnsupported(
                "standard input is closed", hint="send samples to it, or name a file"
            )
        return PcmStream(sys.stdin.buffer, format=PcmFormat.S16LE, rate_hz=rate_hz, channels=channels)
    return AudioFile(source) if isinstance(source, (str, os.PathLike)) else source


class StoppableSource:
    """Any source; stop() ends it after the block under way, from any thread or signal handler."""

    def __init__(self, source: AudioSource) -> None:
        self._source = source
        self._stopped = False

    @property
    def duration_s(self) -> float | None:
        return self._source.duration_s

    def __iter__(self) -> Iterator[AudioBlock]:
        for block in self._source:
            if self._stopped:
                return
            yield block

    def stop(self) -> None:
        self._stopped = True
