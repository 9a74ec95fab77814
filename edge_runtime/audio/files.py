"""Sound files through PyAV (FFmpeg's libraries), piece by piece."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import AudioFormatUnsupported
from .block import AudioBlock, as_float, mix_to_mono
from .libraries import load_av
from .promised_length import promised_duration_s
from .resampler import Resampler
from .speech_blocks import BLOCK_MS, SpeechBlocks
from .timeline import Timeline

# Nothing else is tried: some of FFmpeg's formats are lists of other files, and of addresses.
_FORMATS = "wav,w64,aiff,au,caf,flac,mp3,aac,ogg,mov,matroska"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
_MOST_CHANNELS = 64
# Coders pad or trim the ends of their last blocks; half a second of speech is missed.
_MAY_BE_MISSING_S = 0.5
_HINT = (
    "wav, flac, mp3, ogg, opus, m4a, mp4, webm and aiff can be read;"
    " others after: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
)


class AudioFile:
    """A file's sound; can be iterated again and again, and is never held as a whole.

    Of several sound tracks, the first. What cannot be decoded in the middle is skipped: the next
    block's dropped_samples says how much was lost.
    """

    def __init__(self, path: str | os.PathLike[str], *, block_ms: int = BLOCK_MS) -> None:
        """Reads the header. Raises AudioFormatUnsupported when there is no sound that can be decoded."""
        self.path = Path(path)
        self._block_ms = block_ms
        with self._opened() as (file, container, stream):
            self.codec = str(stream.codec_context.name)
            self.rate_hz = int(stream.codec_context.sample_rate)
            self.channels = int(stream.codec_context.channels)
            self.duration_s = _duration_s(container, stream)
            if not 1 <= self.channels <= _MOST_CHANNELS:
                raise self._error(f"it claims {self.channels} channels; 1 to {_MOST_CHANNELS} can be read")
            Resampler(self.rate_hz)  # a rate that cannot be resampled is refused now, not while reading
            alone = stream.duration or len(container.streams) == 1
            header_s = self.duration_s if alone else None  # a film may be longer than its sound
            self._promised_s = promised_duration_s(file, container.format.name, header_s)

    def __iter__(self) -> Iterator[AudioBlock]:
        """Raises AudioFormatUnsupported where the sound breaks off, after all that could be read."""
        blocks = SpeechBlocks(self._block_ms)
        error: AudioFormatUnsupported | None = None
        with self._opened() as (_, container, stream):
            timeline = Timeline(container.start_time, self.duration_s)
            try:
                for frame in self._decoded(container, stream, timeline):
                    lost_before = timeline.advance(frame)
                    samples = mix_to_mono(_float_frames(frame))
                    yield from blocks.push(samples, frame.sample_rate, lost_before=lost_before)
            except AudioFormatUnsupported as raised:
                error = raised
        yield from blocks.finish()
        if error is None:
            error = self._missing(timeline)
        if error is not None:
            raise error

    def _decoded(self, container: Any, stream: Any, timeline: Timeline) -> Iterator[Any]:
        av_error = load_av().error.FFmpegError
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av_error, OSError) as error:
                raise self._broken(timeline.read_s, _reason(error)) from error
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av_error:
                timeline.damaged_packets += 1

    def _missing(self, timeline: Timeline) -> AudioFormatUnsupported | None:
        """The error to end with, if the sound is not all there."""
        if not timeline.read_s:
            damaged = (
                f": all {timeline.damaged_packets} pieces are damaged" if timeline.damaged_packets else ""
            )
            return self._error(f"there is no sound in it ({self.codec}){damaged}")
        missing_s = (self._promised_s or 0.0) - timeline.read_s
        if missing_s > _MAY_BE_MISSING_S:
            return self._broken(timeline.read_s, f"the header promises {self._promised_s:.1f} s of sound")
        return None

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, Any, Any]]:
        av = load_av()
        try:
            with self.path.open("rb") as file:
                head = file.read(8)
                file.seek(0)
                # A file object, not a path: FFmpeg would take some paths for addresses.
                with av.open(file, metadata_errors="replace", options=_OPTIONS) as container:
                    if not container.streams.audio:
                        raise self._error(f"it is {container.format.long_name}, without a sound track")
                    yield file, container, container.streams.audio[0]
        except av.error.FFmpegError as error:
            raise self._error(_describe_head(head, error)) from error
        except OSError as error:
            reason = _reason(error)
            raise AudioFormatUnsupported(
                f"{self.path} cannot be opened: {reason}", hint="check its name", path=str(self.path)
            ) from error

    def _broken(self, read_s: float, reason: str) -> AudioFormatUnsupported:
        return AudioFormatUnsupported(
            f"{self.path}: only {read_s:.1f} s could be read: {reason}",
            hint="what was there has been read; copy or download the file again to get the rest",
            path=str(self.path),
            read_s=read_s,
            promised_s=self._promised_s,
        )

    def _error(self, found: str) -> AudioFormatUnsupported:
        return AudioFormatUnsupported(f"{self.path}: {found}", hint=_HINT, path=str(self.path))


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
    return f"not a sound file that can be read: it begins with {head!r} ({_reason(error)})"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
