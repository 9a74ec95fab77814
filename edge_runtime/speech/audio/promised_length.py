"""The length that a sound file claims, which shows when its end is missing."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from .riff import wav_chunks

_MP3_TAG_BYTES = 4_096
# FFmpeg takes these formats' length from their header. That of Ogg is the last page it finds, that
# of a WAV or MP3 the size of the file: what is cut off is missing there too.
_HEADER_IS_TRUE = ("flac", "mov", "matroska", "aiff", "caf", "w64", "au")


def promised_duration_s(file: BinaryIO, format_name: str, found_duration_s: float | None) -> float | None:
    """Seconds of sound that the file's own header promises; None when it does not say.

    `format_name` and `found_duration_s` are what FFmpeg says of it. The file stands where it stood.
    """
    position = file.tell()
    try:
        return _promised_s(file, format_name.split(",")[0], found_duration_s)
    finally:
        file.seek(position)


def _promised_s(file: BinaryIO, name: str, found_duration_s: float | None) -> float | None:
    if name == "wav":
        return _riff_duration_s(file)
    if name == "mp3":
        return _counted_duration_s(file)
    return found_duration_s if name in _HEADER_IS_TRUE else None


def _riff_duration_s(file: BinaryIO) -> float | None:
    """None where all bytes are there: then nothing is missing, whatever the header says of the rate."""
    second_bytes = 0
    for chunk in wav_chunks(file):
        if chunk.name == b"data":
            is_cut = chunk.start + chunk.size_bytes > file.seek(0, os.SEEK_END)
            return (
                chunk.size_bytes / second_bytes if second_bytes and chunk.knows_its_size and is_cut else None
            )
        if chunk.name == b"fmt ":
            fields = file.read(16)
            second_bytes = _second_bytes(fields) if len(fields) == 16 else 0
    return None


def _second_bytes(fields: bytes) -> int:
    """As the header says, where it does not contradict itself."""
    tag, _channels, rate_hz, second_bytes, frame_bytes, bits = struct.unpack("<HHIIHH", fields)
    is_plain = tag in (1, 3, 0xFFFE) and bits % 8 == 0
    return rate_hz * frame_bytes if is_plain else int(second_bytes)


def _counted_duration_s(file: BinaryIO) -> float | None:
    """By the number of frames in an MP3's first one (Xing, Info or VBRI), if it is there.

    Of files that were put together, it counts those of the first. Source: Gabriel Bouvigne, MP3 info
    tag revision 1; Fraunhofer's VBRI is described in the mp3guessenc sources.
    """
    _after_tag(file)
    head = file.read(_MP3_TAG_BYTES)
    header = next((n for n in range(len(head) - 4) if head[n] == 0xFF and head[n + 1] & 0xE6 == 0xE2), None)
    marks = [(head.find(mark), offset) for mark, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14))]
    place, offset = min((pair for pair in marks if pair[0] >= 0), default=(-1, 0))
    if header is None or place < header or len(head) < place + offset + 4:
        return None
    if offset == 8 and not head[place + 7] & 1:  # the number of frames is left out
        return None
    frames = struct.unpack_from(">I", head, place + offset)[0]
    version, rate = head[header + 1] >> 3 & 3, head[header + 2] >> 2 & 3
    if version == 1 or rate == 3:
        return None
    rate_hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return float(frames * (1_152 if version == 3 else 576) / rate_hz)


def _after_tag(file: BinaryIO) -> None:
    """The file then stands behind an ID3 tag, which pictures make long."""
    file.seek(0)
    head = file.read(10)
    tag_bytes = 0
    if head[:3] == b"ID3" and len(head) == 10:
        tag_bytes = 10
        for place, byte in enumerate(reversed(head[6:])):  # seven bits a byte
            tag_bytes += (byte & 0x7F) << (7 * place)
    file.seek(tag_bytes)
