"""The chunks of a WAV file: its contents and the length it claims.

Source: Multimedia Programming Interface and Data Specifications 1.0, Microsoft and IBM, 1991.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

# Programs that write to a pipe cannot come back to fill in the length: they leave 0, 2^32 - 1,
# or (sox, arecord) something just below 2^31.
_UNKNOWN_FROM_BYTES = 0x7FFF_0000
_MOST_CHUNKS = 1_000


class Chunk(NamedTuple):
    name: bytes
    size_bytes: int  # as claimed
    start: int  # of what it holds, in the file

    @property
    def knows_its_size(self) -> bool:
        return 0 < self.size_bytes < _UNKNOWN_FROM_BYTES


def wav_chunks(file: BinaryIO) -> Iterator[Chunk]:
    """In order, the file standing at the start of each; none of a file that is no WAV."""
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        name, size_bytes = struct.unpack("<4sI", head)
        chunk = Chunk(name, size_bytes, file.tell())
        yield chunk
        file.seek(chunk.start + size_bytes + size_bytes % 2)


def is_followed_by_chunks(file: BinaryIO, data: Chunk, file_bytes: int) -> bool:
    """Whether other chunks stand behind the sound, up to the end of the file, and not more sound.

    A recorder that was switched off leaves the length that it wrote last, with samples behind it.
    """
    place = data.start + data.size_bytes + data.size_bytes % 2
    for _ in range(_MOST_CHUNKS):
        if file_bytes - place < 8:
            return True
        file.seek(place)
        name, size_bytes = struct.unpack("<4sI", file.read(8))
        if not all(0x20 <= byte < 0x7F for byte in name) or place + 8 + size_bytes > file_bytes + 1:
            return False
        place += 8 + size_bytes + size_bytes % 2
    return True
