"""Sound files through PyAV (FFmpeg's libraries), piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from .block import as_float
from .decoded import BrokenOff, SoundPiece
from .libraries import load_av
from .promised_length import promised_duration_s
from .timeline import Timeline

# Nothing else is tried: some of FFmpeg's formats are lists of other files, and of addresses.
_FORMATS = "wav,w64,aiff,au,caf,flac,mp3,aac,ogg,mov,matroska"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}


class NoSound(Exception):
    """What the file is instead."""


class AvSound:
    """A DecodedSound: of several sound tracks, the first. What cannot be decoded is skipped."""

    def __init__(self, file: BinaryIO, container: Any) -> None:
        """Raises NoSound."""
        if not container.streams.audio:
            raise NoSound(f"it is {container.format.long_name}, without a sound track")
        self._container, self._stream = container, container.streams.audio[0]
        context = self._stream.codec_context
        self.codec = str(context.name)
        self.rate_hz, self.channels = int(context.sample_rate), int(context.channels)
        self.duration_s = _duration_s(container, self._stream)
        alone = self._stream.duration or len(container.streams) == 1
        header_s = self.duration_s if alone else None  # a film may be longer than its sound
        self.promised_s = promised_duration_s(file, container.format.name, header_s)
        self._timeline = Timeline(container.start_time, self.duration_s)

    @property
    def read_s(self) -> float:
        return self._timeline.read_s

    @property
    def damaged_packets(self) -> int:
        return self._timeline.damaged_packets

    def pieces(self) -> Iterator[SoundPiece]:
        """See DecodedSound."""
        for frame in self._decoded():
            lost_before = self._timeline.advance(frame)
            yield SoundPiece(_float_frames(frame), frame.sample_rate, lost_before)

    def _decoded(self) -> Iterator[Any]:
        av_error = load_av().error.FFmpegError
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av_error, OSError) as error:
                raise BrokenOff(reason(error)) from error
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av_error:
                self._timeline.damaged_packets += 1


@contextmanager
def open_av(file: BinaryIO) -> Iterator[AvSound]:
    """Raises NoSound, OSError, and AudioFormatUnsupported without PyAV."""
    av = load_av()
    head = file.read(8)
    file.seek(0)
    try:
        # A file object, not a path: FFmpeg would take some paths for addresses.
        with av.open(file, metadata_errors="replace", options=_OPTIONS) as container:
            yield AvSound(file, container)
    except av.error.FFmpegError as error:
        raise NoSound(_describe_head(head, error)) from error


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _duration_s(container: Any, stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None  # in microseconds


def _float_frames(frame: Any) -> Any:
    """A decoded frame -> (samples, channels) float32 in [-1, 1]."""
    values = as_float(frame.to_ndarray())  # planar (channels, samples), packed (1, samples * channels)
    return values.T if frame.format.is_planar else values.reshape(frame.samples, -1)


def _describe_head(head: bytes, error: Exception) -> str:
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file whose index is missing: its end was cut off, or it was never finished"
    return f"not a sound file that can be read: it begins with {head!r} ({reason(error)})"
