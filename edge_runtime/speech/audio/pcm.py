"""Raw samples from standard input or any other stream of bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from enum import Enum
from typing import BinaryIO

import numpy as np

from ...errors import AudioFormatUnsupported
from ...values.checks import whole_number
from .block import SPEECH_RATE_HZ, AudioBlock, as_float
from .mono import MonoMixer
from .speech_blocks import BLOCK_MS, SpeechBlocks

_READ_BYTES = 65_536
_MOST_CHANNELS = 64
# Someone sent a file, not samples: its header would sound like a click, and at a wrong rate.
_FILE_MARKS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}


class PcmFormat(str, Enum):
    S16LE = "s16le"  # 16-bit integers, low byte first: what arecord and ffmpeg give
    F32LE = "f32le"

    @property
    def sample_type(self) -> np.dtype[np.generic]:
        return np.dtype({"s16le": "<i2", "f32le": "<f4"}[self.value])


class PcmStream:
    """Samples as they come: a block is there as soon as its bytes are.

    Channels are interleaved. Bytes at the end that make no whole frame are left out;
    `leftover_bytes` counts them. Can be iterated once.
    """

    duration_s = None

    def __init__(
        self,
        stream: BinaryIO,
        *,
        format: PcmFormat = PcmFormat.S16LE,
        rate_hz: int = SPEECH_RATE_HZ,
        channels: int = 1,
        block_ms: int = BLOCK_MS,
    ) -> None:
        """Raises AudioFormatUnsupported when the stream is a terminal, OptionInvalid for absurd channels."""
        channels = whole_number("channels", channels, 1, _MOST_CHANNELS)
        if stream.isatty():
            raise AudioFormatUnsupported(
                "standard input is a terminal, not sound",
                hint="send samples to it: arecord -f S16_LE -r 16000 -t raw | edge-runtime ...",
            )
        self.leftover_bytes = 0
        self._stream = stream
        self._sample_type = format.sample_type
        self._rate_hz = rate_hz
        self._channels = channels
        self._blocks, self._mixer = SpeechBlocks(block_ms), MonoMixer()

    def __iter__(self) -> Iterator[AudioBlock]:
        """Raises AudioFormatUnsupported when it begins like a sound file."""
        frame_bytes = self._sample_type.itemsize * self._channels
        held = b""
        begun = False
        while piece := _read_some(self._stream):
            held += piece
            if not begun and len(held) >= 4:
                _refuse_files(held)
                begun = True
            whole_bytes = len(held) - len(held) % frame_bytes
            yield from self._push(held[:whole_bytes])
            held = held[whole_bytes:]
        self.leftover_bytes = len(held)
        yield from self._blocks.finish()

    def _push(self, data: bytes) -> list[AudioBlock]:
        frames = np.frombuffer(data, self._sample_type).reshape(-1, self._channels)  # (frames, channels)
        return self._blocks.push(self._mixer.mix(as_float(frames), self._rate_hz), self._rate_hz)


def _read_some(stream: BinaryIO) -> bytes:
    """What is there now, at least one byte; none at the end."""
    if isinstance(stream, (io.BufferedReader, io.BytesIO)):
        return stream.read1(_READ_BYTES)  # read() would wait until all of it has come
    return stream.read(_READ_BYTES)


def _refuse_files(head: bytes) -> None:
    kind = _FILE_MARKS.get(head[:4])
    if kind:
        raise AudioFormatUnsupported(
            f"standard input begins like a {kind} file; raw samples were expected",
            hint="give the file's name instead, or send raw samples: ffmpeg -i IN -ar 16000 -ac 1 -f s16le -",
        )
