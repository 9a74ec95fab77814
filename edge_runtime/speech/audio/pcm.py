"""Raw samples, or a sound file, from standard input or any other stream of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

from ...errors import AudioFormatUnsupported
from ...values.checks import whole_number
from .block import SPEECH_RATE_HZ, AudioBlock, as_float
from .byte_reader import ByteReader
from .containers import HEAD_BYTES, MOST_HEAD_BYTES, container_kind, may_be_frames
from .files import AudioFile
from .mono import MonoMixer
from .resampler import Resampler
from .speech_blocks import BLOCK_MS, SpeechBlocks

_MOST_CHANNELS = 64
_NAME = "standard input"


class PcmFormat(str, Enum):
    S16LE = "s16le"  # 16-bit integers, low byte first: what arecord and ffmpeg give
    F32LE = "f32le"

    @property
    def sample_type(self) -> np.dtype[np.generic]:
        return np.dtype({"s16le": "<i2", "f32le": "<f4"}[self.value])


class PcmStream:
    """Samples as they come: a block is there as soon as its bytes are.

    Channels are interleaved. Bytes at the end that make no whole frame are left out;
    `leftover_bytes` counts them. A sound file in place of samples is recognized by its beginning,
    and read as one once all of it has come. Can be iterated once.
    """

    duration_s = None

    def __init__(
        self,
        stream: BinaryIO,
        *,
        format: PcmFormat = PcmFormat.S16LE,
        rate_hz: int = SPEECH_RATE_HZ,
        channels: int = 1,
        track: int | str | None = None,
        block_ms: int = BLOCK_MS,
    ) -> None:
        """`track`: of a sound file, as AudioFile has it.

        Raises AudioFormatUnsupported when the stream is a terminal or the rate cannot be resampled,
        OptionInvalid for absurd channels.
        """
        channels = whole_number("channels", channels, 1, _MOST_CHANNELS)
        if stream.isatty():
            raise AudioFormatUnsupported(
                f"{_NAME} is a terminal, not sound",
                hint="send samples to it: arecord -f S16_LE -r 16000 -t raw | edge-runtime ...",
            )
        Resampler(rate_hz)
        self.leftover_bytes = 0
        self._reader = ByteReader(stream)
        self._sample_type = format.sample_type
        self._rate_hz, self._channels, self._track = rate_hz, channels, track
        self._blocks, self._mixer = SpeechBlocks(block_ms), MonoMixer()
        self._block_ms = block_ms

    def __iter__(self) -> Iterator[AudioBlock]:
        """Raises AudioFormatUnsupported when nothing came at all, and as AudioFile for a sound file."""
        head = self._read_head()
        if container_kind(head):
            yield from self._read_file(head)
        elif len(head) >= self._frame_bytes:
            yield from self._read_samples(head)
        elif not self._reader.stopped:
            raise AudioFormatUnsupported(
                f"{_NAME} has no sound: it ended after {len(head)} bytes",
                hint="the program before the pipe may have failed; look at what it says",
            )

    def stop(self) -> None:
        """No more is read; the blocks of what was read still come. From any thread or signal handler."""
        self._reader.stop()

    @property
    def _frame_bytes(self) -> int:
        return self._sample_type.itemsize * self._channels

    def _read_head(self) -> bytes:
        head = b""
        wanted = max(HEAD_BYTES, self._frame_bytes)
        while len(head) < wanted and (piece := self._reader.read()):
            head += piece
            if may_be_frames(head):
                wanted = MOST_HEAD_BYTES
        return head

    def _read_samples(self, held: bytes) -> Iterator[AudioBlock]:
        while True:
            whole_bytes = len(held) - len(held) % self._frame_bytes
            yield from self._push(held[:whole_bytes])
            held = held[whole_bytes:]
            piece = self._reader.read()
            if not piece:
                break
            held += piece
        self.leftover_bytes = len(held)
        yield from self._blocks.finish()

    def _push(self, data: bytes) -> list[AudioBlock]:
        frames = np.frombuffer(data, self._sample_type).reshape(-1, self._channels)  # (frames, channels)
        return self._blocks.push(self._mixer.mix(as_float(frames), self._rate_hz), self._rate_hz)

    def _read_file(self, head: bytes) -> Iterator[AudioBlock]:
        """Most kinds have to be read from several places: they are put into a file without a name."""
        with TemporaryFile() as file:
            piece = head
            while piece:
                file.write(piece)
                piece = self._reader.read()
            yield from AudioFile(file, name=_NAME, track=self._track, block_ms=self._block_ms)
