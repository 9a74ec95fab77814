"""Addresses of a model's files in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .pages import PAGE_BYTES, Pages

_MAPS = Path("/proc/self/maps")


@dataclass(frozen=True)
class FileRange:
    """Bytes [start, end) of one of a model's files."""

    file_index: int
    start: int
    end: int


@dataclass(frozen=True)
class _Piece:
    address: int
    start: int  # bytes of the file, [start, end)
    end: int


class ModelMapping:
    """The memory map of a loaded model, as it stood when this was made.

    llama.cpp maps each file once and unmaps what it has no use for; a file that
    someone else maps too appears several times, and the largest map counts.
    """

    def __init__(self, files: Sequence[Path], *, maps: Path = _MAPS) -> None:
        self.files = tuple(files)
        self._pieces = [_pieces_of(path, maps) for path in self.files]

    @property
    def found(self) -> bool:
        return all(self._pieces)

    def pages(self, wanted: FileRange) -> list[Pages]:
        """The whole pages inside the range that are mapped; often one piece, none when not mapped."""
        first, last = -(-wanted.start // PAGE_BYTES) * PAGE_BYTES, wanted.end // PAGE_BYTES * PAGE_BYTES
        found = []
        for piece in self._pieces[wanted.file_index]:
            start, end = max(first, piece.start), min(last, piece.end)
            if start < end:
                found.append(
                    Pages(piece.address + start - piece.start, end - start, wanted.file_index, start)
                )
        return found

    def all_pages(self) -> list[Pages]:
        return [
            Pages(piece.address, piece.end - piece.start, index, piece.start)
            for index, pieces in enumerate(self._pieces)
            for piece in pieces
        ]


def mapped_pages(path: Path, *, maps: Path = _MAPS) -> list[Pages]:
    """Whatever this process maps of a file, however often."""
    return [
        Pages(piece.address, piece.end - piece.start, 0, piece.start)
        for group in _groups_of(path, maps)
        for piece in group
    ]


def _pieces_of(path: Path, maps: Path) -> list[_Piece]:
    """The neighbouring maps of one file that together are its largest."""
    return max(
        _groups_of(path, maps), key=lambda group: sum(piece.end - piece.start for piece in group), default=[]
    )


def _groups_of(path: Path, maps: Path) -> list[list[_Piece]]:
    """The maps of one file, neighbours together; see proc_pid_maps(5)."""
    try:
        path = path.resolve()
        status = path.stat()
        lines = maps.read_text().splitlines()
    except OSError:  # not Linux
        return []
    groups: list[list[_Piece]] = []
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or int(fields[4]) != status.st_ino or not fields[5].endswith(path.name):
            continue
        begin, end = (int(text, 16) for text in fields[0].split("-"))
        offset = int(fields[2], 16)
        piece = _Piece(begin, offset, offset + end - begin)
        if groups and begin - groups[-1][-1].address == offset - groups[-1][-1].start:
            groups[-1].append(piece)  # one map, cut in two by advice or by a hole
        else:
            groups.append([piece])
    return groups
