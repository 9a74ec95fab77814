"""The length that a sound file claims, which shows when its end is missing."""

from __future__ import annotations

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
        return found_duration_s if _counts_its_frames(file) else None
    return found_duration_s if name in _HEADER_IS_TRUE else None


def _riff_duration_s(file: BinaryIO) -> float | None:
    second_bytes = 0
    for chunk in wav_chunks(file):
        if chunk.name == b"data":
            return chunk.size_bytes / second_bytes if second_bytes and chunk.knows_its_size else None
        if chunk.name == b"fmt ":
            fields = file.read(12)
            second_bytes = struct.unpack("<8xI", fields)[0] if len(fields) == 12 else 0
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
