"""How long a sound file says it is: only then can one tell that its end is missing."""

from __future__ import annotations

import struct
from typing import BinaryIO

# Programs that write to a pipe cannot come back to fill in the length: they leave 0, 2^32 - 1,
# or (sox, arecord) something just below 2^31.
_UNKNOWN_FROM_BYTES = 0x7FFF_0000
_MOST_CHUNKS = 1_000
_MP3_TAG_BYTES = 4_096
# FFmpeg takes these formats' length from their header. That of Ogg is the last page it finds, that
# of a WAV or MP3 the size of the file: what is cut off is missing there too.
_HEADER_IS_TRUE = ("flac", "mov", "matroska", "aiff", "caf", "w64", "au")


def promised_duration_s(file: BinaryIO, format_name: str, found_duration_s: float | None) -> float | None:
    """Seconds of sound that the file's own header promises; None when it does not say.

    `format_name` and `found_duration_s` are what FFmpeg says of it. Moves the file's position.
    """
    name = format_name.split(",")[0]
    if name == "wav":
        return _riff_duration_s(file)
    if name == "mp3":
        return found_duration_s if _counts_its_frames(file) else None
    return found_duration_s if name in _HEADER_IS_TRUE else None


def _riff_duration_s(file: BinaryIO) -> float | None:
    """Source: Multimedia Programming Interface and Data Specifications 1.0, Microsoft and IBM, 1991."""
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    second_bytes = 0
    for _ in range(_MOST_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            known = second_bytes and 0 < size < _UNKNOWN_FROM_BYTES
            return size / second_bytes if known else None
        start = file.tell()
        if name == b"fmt ":
            fields = file.read(12)
            second_bytes = struct.unpack("<8xI", fields)[0] if len(fields) == 12 else 0
        file.seek(start + size + size % 2)
    return None


def _counts_its_frames(file: BinaryIO) -> bool:
    """Whether an MP3 begins with the frame that holds the number of frames (Xing, Info or VBRI)."""
    file.seek(0)
    head = file.read(10)
    tag_bytes = 0
    if head[:3] == b"ID3" and len(head) == 10:  # a tag before the sound: pictures make it long
        tag_bytes = 10
        for place, byte in enumerate(reversed(head[6:])):  # seven bits a byte
            tag_bytes += (byte & 0x7F) << (7 * place)
    file.seek(tag_bytes)
    start = file.read(_MP3_TAG_BYTES)
    return any(mark in start for mark in (b"Xing", b"Info", b"VBRI"))
