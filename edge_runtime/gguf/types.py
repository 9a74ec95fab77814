"""GGUF's value types, tensor types and lists of strings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class GgufValueType(IntEnum):
    """The number that stands before each metadata value."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


# Little-endian, as in the file. A bool is a byte there: anything but 0 is true.
NUMBER_DTYPES: dict[GgufValueType, np.dtype[np.generic]] = {
    GgufValueType.UINT8: np.dtype("<u1"),
    GgufValueType.INT8: np.dtype("<i1"),
    GgufValueType.UINT16: np.dtype("<u2"),
    GgufValueType.INT16: np.dtype("<i2"),
    GgufValueType.UINT32: np.dtype("<u4"),
    GgufValueType.INT32: np.dtype("<i4"),
    GgufValueType.FLOAT32: np.dtype("<f4"),
    GgufValueType.BOOL: np.dtype("<u1"),
    GgufValueType.UINT64: np.dtype("<u8"),
    GgufValueType.INT64: np.dtype("<i8"),
    GgufValueType.FLOAT64: np.dtype("<f8"),
}


class GgmlType(IntEnum):
    """How a tensor's numbers are stored: `block_elements` of them in `block_bytes`.

    Numbers that are missing here (4, 5, 31-33, 36-38) were given back by ggml.

    Source: llama.cpp ggml/src/ggml-common.h and ggml.c, at 0c1e57098. gguf-py
    0.19 says 40 bytes for Q8_1, where the C structure has 36.
    """

    block_elements: int
    block_bytes: int

    def __new__(cls, number: int, block_elements: int, block_bytes: int) -> GgmlType:
        member = int.__new__(cls, number)
        member._value_ = number
        member.block_elements = block_elements
        member.block_bytes = block_bytes
        return member

    F32 = 0, 1, 4
    F16 = 1, 1, 2
    Q4_0 = 2, 32, 18
    Q4_1 = 3, 32, 20
    Q5_0 = 6, 32, 22
    Q5_1 = 7, 32, 24
    Q8_0 = 8, 32, 34
    Q8_1 = 9, 32, 36
    Q2_K = 10, 256, 84
    Q3_K = 11, 256, 110
    Q4_K = 12, 256, 144
    Q5_K = 13, 256, 176
    Q6_K = 14, 256, 210
    Q8_K = 15, 256, 292
    IQ2_XXS = 16, 256, 66
    IQ2_XS = 17, 256, 74
    IQ3_XXS = 18, 256, 98
    IQ1_S = 19, 256, 50
    IQ4_NL = 20, 32, 18
    IQ3_S = 21, 256, 110
    IQ2_S = 22, 256, 82
    IQ4_XS = 23, 256, 136
    I8 = 24, 1, 1
    I16 = 25, 1, 2
    I32 = 26, 1, 4
    I64 = 27, 1, 8
    F64 = 28, 1, 8
    IQ1_M = 29, 256, 56
    BF16 = 30, 1, 2
    TQ1_0 = 34, 256, 54
    TQ2_0 = 35, 256, 66
    MXFP4 = 39, 32, 17
    NVFP4 = 40, 64, 36
    Q1_0 = 41, 128, 18
    Q2_0 = 42, 64, 18


GGML_TYPES = {int(kind): kind for kind in GgmlType}


@dataclass(frozen=True)
class TensorInfo:
    name: str
    shape: tuple[int, ...]  # ggml's order: the dimension that is contiguous in memory comes first
    type: GgmlType
    offset_bytes: int  # from the start of its file
    size_bytes: int
    file_index: int  # into GgufHeader.paths


_LONGEST_HASHED_BYTES = 4096  # a token is at most a few hundred
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd


class GgufStringArray:
    """A list of strings that stay bytes until one is asked for.

    A vocabulary of 262,144 tokens takes about 5 MB this way, and 20 MB as str.
    """

    __slots__ = ("_raw", "_starts")

    def __init__(self, raw: bytes, starts: NDArray[np.uint32]) -> None:
        self._raw = raw  # each string after its own length, 8 bytes
        self._starts = starts  # (count,) where each length stands in raw

    def __len__(self) -> int:
        return len(self._starts)

    def __repr__(self) -> str:
        return f"GgufStringArray({len(self)} strings, {len(self._raw)} bytes)"

    def __getitem__(self, index: int) -> str:
        """Bytes that are not UTF-8 come back as U+FFFD."""
        return self.bytes_at(index).decode("utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        return (text.decode("utf-8", "replace") for text in self.iter_bytes())

    def bytes_at(self, index: int) -> bytes:
        index = range(len(self))[index]  # negative indexes, and IndexError
        end = len(self._raw) if index + 1 == len(self) else int(self._starts[index + 1])
        return self._raw[int(self._starts[index]) + 8 : end]

    def iter_bytes(self) -> Iterator[bytes]:
        raw, ends = self._raw, [*self._starts[1:].tolist(), len(self._raw)]
        return (raw[start + 8 : end] for start, end in zip(self._starts.tolist(), ends, strict=False))

    def lengths_bytes(self) -> NDArray[np.int64]:
        """(count,) bytes in each string."""
        ends = np.append(self._starts[1:], len(self._raw)).astype(np.int64)
        return ends[: len(self)] - self._starts - 8

    def find(self, start: bytes, size_bytes: int) -> list[int]:
        """Indexes of the strings that begin with `start`, 8 bytes at most, and have this size."""
        mask = np.uint64(256 ** len(start) - 1)
        wanted = np.uint64(int.from_bytes(start, "little"))
        rows = np.flatnonzero(self.lengths_bytes() == size_bytes)
        first_words = self._words()[self._starts[rows] + 8]
        return [int(row) for row in rows[first_words & mask == wanted]]

    def may_repeat(self) -> bool:
        """False is certain: all strings differ, and none holds a zero byte.

        True means: look closer. Compares 64-bit hashes: 0.05 s for 262,144 tokens.
        """
        lengths = self.lengths_bytes()
        if len(self) == 0 or lengths.max() > _LONGEST_HASHED_BYTES:
            return len(self) > 0
        zeros_in_prefixes = np.count_nonzero(self._prefixes().view(np.uint8) == 0)
        zeros = np.count_nonzero(np.frombuffer(self._raw, np.uint8) == 0)
        hashes = np.sort(self._hashes(lengths))  # np.unique takes 50 times as long (numpy 2.4)
        return zeros != zeros_in_prefixes or bool((hashes[1:] == hashes[:-1]).any())

    def _prefixes(self) -> NDArray[np.uint64]:
        return self._words()[self._starts]

    def _words(self) -> NDArray[np.uint64]:
        """(bytes + 1,) the 8 bytes from each offset on, as a number; zeros follow the end."""
        padded = np.frombuffer(self._raw + bytes(8), np.uint8)
        return np.lib.stride_tricks.as_strided(
            padded[:8].view("<u8"), (len(self._raw) + 1,), (1,), writeable=False
        )

    def _hashes(self, lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
        """(count,) 8 bytes of every string at a time, as long as any string has more."""
        words, hashes = self._words(), lengths.astype(np.uint64)
        for done in range(0, int(lengths.max()), 8):
            rows = np.flatnonzero(lengths > done)
            unwanted_bits = 8 * np.maximum(done + 8 - lengths[rows], 0).astype(np.uint64)
            word = words[self._starts[rows] + 8 + done] << unwanted_bits
            mixed = (hashes[rows] ^ word) * _HASH_FACTOR
            hashes[rows] = mixed ^ (mixed >> np.uint64(29))
        return hashes
