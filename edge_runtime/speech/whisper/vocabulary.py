"""The vocabulary: text of token ids.

A token is spelled in GPT-2's alphabet, one printable character for each byte.
Source: openai/gpt-2, src/encoder.py, bytes_to_unicode.
"""

from __future__ import annotations

import io
import json
from array import array
from collections.abc import Iterable
from pathlib import Path

from ...errors import ModelFileInvalid
from .model_files import read_bounded

_MOST_BYTES = 8 << 20  # tokenizer.json of the large models has 2.5 MB
_MOST_TOKENS = 1 << 20


class Vocabulary:
    """Spellings are kept as one string of bytes: a list of 51,865 would take ten times the memory."""

    def __init__(self, spellings: Iterable[str]) -> None:
        """Takes one after the other: what a list of them leaves behind, Python keeps for itself (3 MB)."""
        spelled, ends = bytearray(), array("q")
        # {"<|en|>": 50259, ...}, without timestamps such as <|0.02|>
        self.control_tokens: dict[str, int] = {}
        for token, spelling in enumerate(spellings):
            spelled += spelling.encode("utf-8", "replace")
            ends.append(len(spelled))
            if _is_control(spelling):
                self.control_tokens[spelling] = token
        self._spelled, self._ends = bytes(spelled), ends

    def __len__(self) -> int:
        return len(self._ends)

    def spelling(self, token: int) -> str:
        start = self._ends[token - 1] if token else 0
        return self._spelled[start : self._ends[token]].decode()

    def text_bytes(self, token: int) -> bytes:
        return bytes(_BYTE_OF[character] for character in self.spelling(token) if character in _BYTE_OF)

    def text(self, tokens: Iterable[int]) -> str:
        """What is no UTF-8 becomes U+FFFD."""
        return b"".join(map(self.text_bytes, tokens)).decode("utf-8", "replace")

    def characters(self, token: int) -> int:
        """How many characters begin in this token."""
        return sum(byte & 0xC0 != 0x80 for byte in self.text_bytes(token))


def _is_control(spelling: str) -> bool:
    return spelling.startswith("<|") and spelling.endswith("|>") and spelling[2:3].isalpha()


def read_vocabulary(folder: Path) -> Vocabulary:
    """From vocabulary.txt (CTranslate2's: a line for each token) or tokenizer.json.

    Raises ModelNotFound (neither is there) and ModelFileInvalid.
    """
    lines = folder / "vocabulary.txt"
    if lines.is_file():
        data = read_bounded(lines, _MOST_BYTES)
        _utf8(data, lines)
        if data.count(b"\n") > _MOST_TOKENS:
            raise _damaged(lines, f"it has more than {_MOST_TOKENS} lines")
        return Vocabulary(line.removesuffix(b"\n").decode() for line in io.BytesIO(data))
    path = folder / "tokenizer.json"
    return Vocabulary(_from_tokenizer(_utf8(read_bounded(path, _MOST_BYTES), path), path))


def _from_tokenizer(text: str, path: Path) -> list[str]:
    try:
        content = json.loads(text)
        ids = dict(content["model"]["vocab"])
        ids |= {entry["content"]: entry["id"] for entry in content.get("added_tokens", ())}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if not all(isinstance(token, int) and 0 <= token < _MOST_TOKENS for token in ids.values()):
        raise _damaged(path, f"a token id is not between 0 and {_MOST_TOKENS - 1}")
    spellings = [""] * (1 + max(ids.values(), default=-1))
    for spelling, token in ids.items():
        spellings[token] = str(spelling)
    return spellings


def _utf8(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, problem: str) -> ModelFileInvalid:
    return ModelFileInvalid(
        f"{path} is not a vocabulary that we can read: {problem}",
        hint="fetch the model again",
        path=str(path),
    )


def _alphabet() -> dict[str, int]:
    """{"!": 0x21, ..., "Ġ": 0x20, ...}: printable bytes stand for themselves, others follow U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(rest)}


_BYTE_OF = _alphabet()
