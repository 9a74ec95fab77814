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

from .source_error import damaged

_MOST_BYTES = 64 << 20  # Gemma's, with 262,144 pieces, has 5 MB
_SCORE = struct.Struct("<f")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class PieceType(IntEnum):
    """The numbers of sentencepiece_model.proto, which GGUF's token types are too."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Piece(NamedTuple):
    text: bytes
    score: float
    kind: int


def read_pieces(path: Path) -> list[Piece]:
    """Raises ConversionError where the file cannot be read as one."""
    try:
        with path.open("rb") as handle:
            raw = handle.read(_MOST_BYTES + 1)
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}", hint="check its owner and mode") from error
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB")
        return list(_pieces(raw))
    except (ValueError, IndexError, struct.error) as error:
        raise damaged(path, f"is no SentencePiece model: {error}") from error


def _pieces(raw: bytes) -> Iterator[Piece]:
    at = 0
    while at < len(raw):
        piece, after = _usual_piece(raw, at)
        if piece is None:
            number, value, after = _field(raw, at)
            piece = _any_piece(value) if number == 1 and isinstance(value, bytes) else None
        if piece is not None:
            yield piece
        at = after


def _usual_piece(raw: bytes, at: int) -> tuple[Piece | None, int]:
    """As sentencepiece writes it: a short text, the score, perhaps the type; None for all else.

    Nearly all of Gemma's 262,144 are like this, and reading them field by field takes many times as long.
    """
    if at + 2 + 0x80 > len(raw) or raw[at] != 0x0A or raw[at + 1] >= 0x80 or raw[at + 2] != 0x0A:
        return None, at
    end = at + 2 + raw[at + 1]
    score_at = at + 4 + raw[at + 3]
    if end - score_at not in (5, 7) or raw[score_at] != 0x15:
        return None, at
    kind = int(PieceType.NORMAL)
    if end - score_at == 7:
        kind = raw[end - 1]
        if raw[end - 2] != 0x18 or kind >= 0x80:
            return None, at
    (score,) = _SCORE.unpack_from(raw, score_at + 1)
    return Piece(raw[at + 4 : score_at], score, kind), end


def _any_piece(raw: bytes) -> Piece:
    text, score, kind = b"", 0.0, int(PieceType.NORMAL)
    for number, value in _fields(raw):
        if number == 1 and isinstance(value, bytes):
            text = value
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


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
