"""The pieces in a SentencePiece tokenizer.model: a protocol buffer, of which only these are read.

Format: https://protobuf.dev/programming-guides/encoding, and sentencepiece_model.proto: ModelProto has
the pieces in field 1; a piece has its text in field 1, its score in 2, its type in 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_runtime.values.units import format_bytes

from .source_error import damaged

_MOST_BYTES = 64_000_000  # Gemma's, with 262,144 pieces, has 5 MB
_LONGEST_USUAL = 512  # bytes of a piece: more than two lengths below 256
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Places = NDArray[np.int64]


class PieceType(IntEnum):
    """The numbers of sentencepiece_model.proto, which GGUF's token types are too."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Pieces(NamedTuple):
    """Columns of as many items as there are pieces, in order."""

    texts: list[bytes]
    scores: NDArray[np.float32]
    kinds: NDArray[np.int32]


def read_pieces(path: Path) -> Pieces:
    """Raises ConversionError where the file cannot be read as one."""
    try:
        with path.open("rb") as handle:
            raw = handle.read(_MOST_BYTES + 1)
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}", hint="check its owner and mode") from error
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError(f"larger than {format_bytes(_MOST_BYTES)}")
        return _pieces(raw)
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise damaged(path, f"is no SentencePiece model: {error}") from error


def _pieces(raw: bytes) -> Pieces:
    starts, ends = (np.array(places, np.int64) for places in _spans(raw))
    pieces, usual = _as_usual(raw, starts, ends)
    for place in np.flatnonzero(~usual):
        piece = _any_piece(raw[starts[place] : ends[place]])
        pieces.texts[place], pieces.scores[place], pieces.kinds[place] = piece
    return pieces


def _spans(raw: bytes) -> tuple[list[int], list[int]]:
    """Where the pieces begin and end."""
    starts, ends = [], []
    at = 0
    while at < len(raw):
        # Nearly all of Gemma's 262,144 are as short as this.
        if raw[at] == 0x0A and raw[at + 1] < 0x80 and at + 2 + raw[at + 1] <= len(raw):
            start = at + 2
            at = start + raw[at + 1]
        else:
            number, value, at = _field(raw, at)
            if number != 1 or not isinstance(value, bytes):
                continue
            start = at - len(value)
        starts.append(start)
        ends.append(at)
    return starts, ends


def _as_usual(raw: bytes, starts: Places, ends: Places) -> tuple[Pieces, NDArray[np.bool_]]:
    """All pieces read as sentencepiece writes them, and which of them are.

    That is a short text, the score, perhaps the type: one by one they would take a second.
    """
    padded = np.frombuffer(raw + bytes(_LONGEST_USUAL), np.uint8)
    scores_at = starts + 2 + padded[starts + 1]
    rest = ends - scores_at
    usual = (padded[starts] == 0x0A) & (padded[starts + 1] < 0x80) & (padded[scores_at] == 0x15)
    has_kind = (rest == 7) & (padded[ends - 2] == 0x18) & (padded[ends - 1] < 0x80)
    usual &= (rest == 5) | has_kind
    spans = zip((starts + 2).tolist(), scores_at.tolist(), strict=True)
    scores = padded[scores_at[:, np.newaxis] + np.arange(1, 5)].view("<f4")[:, 0]
    kinds = np.where(has_kind, padded[ends - 1], int(PieceType.NORMAL)).astype(np.int32)
    return Pieces([raw[start:end] for start, end in spans], scores, kinds), usual


def _any_piece(raw: bytes) -> tuple[bytes, float, int]:
    text, score, kind = b"", 0.0, int(PieceType.NORMAL)
    for number, value in _fields(raw):
        if number == 1 and isinstance(value, bytes):
            text = value
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return text, score, kind


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of each."""
    at = 0
    while at < len(raw):
        number, value, at = _field(raw, at)
        yield number, value


def _field(raw: bytes, at: int) -> tuple[int, int | bytes, int]:
    """Its number, its value (a number for a varint, bytes for all else), and where the next begins."""
    tag, at = _varint(raw, at)
    wire = tag & 7
    if wire == _VARINT:
        value, at = _varint(raw, at)
        return tag >> 3, value, at
    size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
    if wire == _BYTES:
        size, at = _varint(raw, at)
    if size is None or at + size > len(raw):
        raise ValueError(f"field {tag >> 3} at byte {at} goes past the end")
    return tag >> 3, raw[at : at + size], at + size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where the next begins."""
    value, shift = 0, 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"a number at byte {at} does not end")
