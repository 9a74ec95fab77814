"""Plain WAV files, without FFmpeg: its libraries would take 23 MB of memory to copy samples."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .block import as_float
from .decoded import BrokenOff, SoundPiece
from .riff import Chunk, is_followed_by_chunks, wav_chunks

_PIECE_BYTES = 32_768
_EXTENSIBLE = 0xFFFE
# Source: Microsoft, WAVEFORMATEXTENSIBLE; a sub-format is a tag and these.
_SUBFORMAT_TAIL = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")
_PCM, _FLOAT = 1, 3
_PLACES = 16  # of a file that are looked at
# (tag, bits): FFmpeg's name, and the type; 24 bits are widened to 32
_CODECS = {
    (_PCM, 8): ("pcm_u8", "<u1"),
    (_PCM, 16): ("pcm_s16le", "<i2"),
    (_PCM, 24): ("pcm_s24le", "<i4"),
    (_PCM, 32): ("pcm_s32le", "<i4"),
    (_FLOAT, 32): ("pcm_f32le", "<f4"),
    (_FLOAT, 64): ("pcm_f64le", "<f8"),
}


class _Format(NamedTuple):
    tag: int
    channels: int
    rate_hz: int
    second_bytes: int
    frame_bytes: int
    bits: int  # that a sample takes
    valid_bits: int  # of these


class PlainWav:
    """A DecodedSound of integers or floats, one after the other."""

    damaged_packets = 0
    losses = ()

    def __init__(self, file: BinaryIO, format: _Format, data: Chunk) -> None:
        self.codec, sample_type = _CODECS[format.tag, format.bits]
        self.rate_hz, self.channels = format.rate_hz, format.channels
        self._file, self._format, self._start = file, format, data.start
        self._sample_type = np.dtype(sample_type)
        self._shift_bits = 0
        file_bytes = file.seek(0, os.SEEK_END)
        there_bytes = max(file_bytes - data.start, 0)
        ends = data.knows_its_size and is_followed_by_chunks(file, data, file_bytes)
        self._data_bytes = min(data.size_bytes, there_bytes) if ends else there_bytes
        self.duration_s: float | None = self._data_bytes / format.second_bytes
        self.promised_s = data.size_bytes / format.second_bytes if data.knows_its_size else None
        self.read_s = 0.0
        self._shift_bits = self._find_shift()

    def _find_shift(self) -> int:
        """Bits that the samples have to be moved up: 24 in 32 belong at the top, and some programs leave
        them at the bottom. Looks at a few places."""
        format = self._format
        if format.valid_bits == format.bits or format.tag != _PCM:
            return 0
        spare_bits = format.bits - format.valid_bits
        pieces = [
            self._read(self._data_bytes * n // _PLACES // format.frame_bytes * format.frame_bytes, 4_096)
            for n in range(_PLACES)
        ]
        whole = b"".join(piece[: len(piece) // format.frame_bytes * format.frame_bytes] for piece in pieces)
        values = np.frombuffer(whole, self._sample_type).astype(np.int64)
        at_top = not (values & ((1 << spare_bits) - 1)).any()
        fits = bool(np.all(np.abs(values) <= 1 << (format.valid_bits - 1)))
        return spare_bits if fits and not at_top else 0

    def pieces(self) -> Iterator[SoundPiece]:
        """See DecodedSound. Bytes at the end that make no whole frame are left out."""
        frame_bytes = self._format.frame_bytes
        step_bytes = max(_PIECE_BYTES // frame_bytes, 1) * frame_bytes
        for offset in range(0, self._data_bytes, step_bytes):
            data = self._read(offset, min(step_bytes, self._data_bytes - offset))
            count = len(data) // frame_bytes
            if not count:
                return
            self.read_s += count / self.rate_hz
            yield SoundPiece(self._frames(data[: count * frame_bytes]), self.rate_hz)

    def _read(self, offset: int, size_bytes: int) -> bytes:
        try:
            self._file.seek(self._start + offset)
            return self._file.read(size_bytes)
        except OSError as error:
            raise BrokenOff(error.strerror or str(error)) from error

    def _frames(self, data: bytes) -> NDArray[np.float32]:
        if self._format.bits == 24:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            values = wide.view(self._sample_type)
        else:
            values = np.frombuffer(data, self._sample_type)
        if self._shift_bits:
            values = np.left_shift(values, self._shift_bits)
        return as_float(values.reshape(-1, self.channels))


def plain_wav(file: BinaryIO) -> PlainWav | None:
    """The sound of a file that is open; None for what is no WAV, or another kind than these."""
    format: _Format | None = None
    for chunk in wav_chunks(file):
        if chunk.name == b"fmt ":
            format = _read_format(file.read(min(chunk.size_bytes, 40)))
        if chunk.name == b"data":
            return PlainWav(file, format, chunk) if format else None
    return None


def _read_format(fields: bytes) -> _Format | None:
    """None for what only FFmpeg knows how to read, and for numbers that contradict each other."""
    if len(fields) < 16:
        return None
    tag, channels, rate_hz, second_bytes, frame_bytes, bits = struct.unpack("<HHIIHH", fields[:16])
    valid_bits = bits  # a header without the extension means the same by its own bits
    if tag == _EXTENSIBLE and len(fields) == 40 and fields[26:] == _SUBFORMAT_TAIL:
        told_bits, _mask, tag = struct.unpack_from("<HIH", fields, 18)
        valid_bits = told_bits or bits
    if tag == _PCM and channels and frame_bytes % channels == 0 and bits <= 8 * frame_bytes // channels:
        bits = 8 * frame_bytes // channels  # 24 in 32, 12 in 16: whole bytes are kept
    if (tag, bits) not in _CODECS or not channels or not rate_hz or not 8 <= valid_bits <= bits:
        return None
    format = _Format(tag, channels, rate_hz, second_bytes, frame_bytes, bits, valid_bits)
    expected = channels * bits // 8, channels * bits // 8 * rate_hz
    return format if (frame_bytes, second_bytes) == expected else None
