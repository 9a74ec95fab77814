"""Sound files through PyAV (FFmpeg's libraries), piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from .block import as_float
from .decoded import BrokenOff, SoundPiece
from .libraries import load_av
from .promised_length import promised_duration_s
from .timeline import Loss, Timeline
from .track_language import is_same_language

# Nothing else is tried: some of FFmpeg's formats are lists of other files, and of addresses.
_FORMATS = "wav,w64,aiff,au,caf,flac,mp3,aac,ogg,mov,matroska"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
_WITH_PAUSES = ("mov", "matroska")
_FRAMES_ALONE = ("mp3", "aac")  # the time stamps of these are FFmpeg's own count
_MOST_BETWEEN_BYTES = 16_384  # of Matroska's own, between two packets: indexes are longer, damage is as well
_MOST_TRIES = 100  # without a packet
_DEFAULT = 1  # AV_DISPOSITION_DEFAULT
_TAGGED = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)\s*")

Track = int | str | None


class NoSound(Exception):
    """What the file is instead."""


class AvSound:
    """A DecodedSound. What cannot be decoded is skipped."""

    def __init__(self, file: BinaryIO, container: Any, track: Track = None) -> None:
        """Raises NoSound."""
        if not container.streams.audio:
            raise NoSound(f"it is {container.format.long_name}, without a sound track")
        self._container, self._stream = container, _choose_track(container.streams.audio, track)
        context = self._stream.codec_context
        self.codec = str(context.name)
        self.rate_hz, self.channels = int(context.sample_rate), int(context.channels)
        self.damaged_packets = 0
        name = container.format.name.split(",")[0]
        offset_s = _offset_s(container, self._stream)
        own_s, all_s = _duration_s(self._stream), _seconds(container.duration, 1e-6)
        self.duration_s = all_s if own_s is None else own_s + offset_s
        alone = name != "matroska" or len(container.streams) == 1  # its sound may end before the picture
        header_s = self.duration_s if alone or own_s != all_s else None
        self.promised_s = promised_duration_s(file, name, header_s)
        end_s = max(filter(None, (self.duration_s, all_s)), default=None)
        self._timeline = Timeline(container.start_time, end_s, has_pauses=name in _WITH_PAUSES)
        self._counts_frames, self._tells_place = name in _FRAMES_ALONE, name == "matroska"

    @property
    def read_s(self) -> float:
        return self._timeline.read_s

    @property
    def losses(self) -> Sequence[Loss]:
        """See DecodedSound."""
        return self._timeline.losses

    def pieces(self) -> Iterator[SoundPiece]:
        """See DecodedSound."""
        for frame in self._decoded():
            lost_before = self._timeline.advance(frame, by_bytes=self._counts_frames)
            yield SoundPiece(_float_frames(frame), frame.sample_rate, lost_before)

    def _decoded(self) -> Iterator[Any]:
        av_error = load_av().error.FFmpegError
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av_error:
                self.damaged_packets += 1
                self._timeline.skip(packet.size)
                continue
            self._timeline.take(packet.size)
            yield from frames

    def _packets(self) -> Iterator[Any]:
        """Those of the track. A format that does not notice by itself that bytes were skipped is watched."""
        next_place: int | None = None
        for packet in self._demuxed():
            if self._tells_place and packet.pos is not None:
                skipped = packet.pos - (packet.pos if next_place is None else next_place)
                if skipped > _MOST_BETWEEN_BYTES:
                    self._timeline.skip(skipped)
                next_place = packet.pos + packet.size
            if packet.stream_index == self._stream.index:
                yield packet

    def _demuxed(self) -> Iterator[Any]:
        """Goes on after damage. Raises BrokenOff where nothing follows it any more."""
        av = load_av()
        streams = () if self._tells_place else (self._stream,)
        tries = 0
        while True:
            try:
                for packet in self._container.demux(*streams):
                    tries = 0
                    yield packet
                return
            except (av.error.FFmpegError, OSError) as error:
                tries += 1
                if not isinstance(error, av.error.InvalidDataError) or tries > _MOST_TRIES:
                    raise BrokenOff(reason(error)) from error
                self._timeline.skip(0)


def _choose_track(streams: Sequence[Any], track: Track) -> Any:
    """By number from 1 on, or by language; else the one that players take. Raises NoSound."""
    if track is None:
        return next((stream for stream in streams if _is_default(stream)), streams[0])
    wanted = str(track).strip().lower()
    for number, stream in enumerate(streams, 1):
        language = stream.metadata.get("language", "").lower()
        if wanted == str(number) or (language and is_same_language(wanted, language)):
            return stream
    raise NoSound(f"track: {str(track)[:40]!r} is none of its sound tracks: {_describe_tracks(streams)}")


def _is_default(stream: Any) -> bool:
    return bool(int(stream.disposition) & _DEFAULT)


def _describe_tracks(streams: Sequence[Any]) -> str:
    names = (
        f"{n} ({stream.metadata.get('language', 'language not told')})" for n, stream in enumerate(streams, 1)
    )
    return ", ".join(names)


@contextmanager
def open_av(file: BinaryIO, track: Track = None) -> Iterator[AvSound]:
    """Raises NoSound, OSError, and AudioFormatUnsupported without PyAV."""
    av = load_av()
    head = file.read(8)
    file.seek(0)
    try:
        # A file object, not a path: FFmpeg would take some paths for addresses.
        with av.open(file, metadata_errors="replace", options=_OPTIONS) as container:
            yield AvSound(file, container, track)
    except av.error.FFmpegError as error:
        raise NoSound(_describe_head(head, error)) from error


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _duration_s(stream: Any) -> float | None:
    """Of the track alone, if the file tells it."""
    found = _TAGGED.fullmatch(stream.metadata.get("DURATION", ""))  # Matroska
    if found:
        hours, minutes, seconds = map(float, found.groups())
        return hours * 3600 + minutes * 60 + seconds
    return _seconds(stream.duration, stream.time_base)


def _offset_s(container: Any, stream: Any) -> float:
    """How much later than the file its sound begins."""
    start_s = _seconds(stream.start_time, stream.time_base)
    return max(0.0, (start_s or 0.0) - (container.start_time or 0) / 1e6)


def _seconds(count: int | None, unit_s: Any) -> float | None:
    return float(count * unit_s) if count and unit_s else None


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
