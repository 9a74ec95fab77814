"""A lower bound of a text's tokens: what is certainly too long is refused before it is rendered."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...gguf.header import GgufHeader
from ...gguf.types import GgufStringArray

_MODELS = ("llama", "gpt2", "gemma4")  # tokenizers that leave no letter out and put none into a heap
_PASSED_OVER = re.compile(r"[\x00-\x20\x7f]+")  # that some control tokens swallow, or a vocabulary lacks


@dataclass(frozen=True)
class LengthBound:
    longest_token_bytes: int | None  # None: nothing is known

    @classmethod
    def of_model(cls, header: GgufHeader) -> LengthBound:
        tokens, model = (
            header.metadata.get("tokenizer.ggml.tokens"),
            header.metadata.get("tokenizer.ggml.model"),
        )
        if not isinstance(tokens, GgufStringArray) or not len(tokens) or model not in _MODELS:
            return cls(None)
        if model == "gpt2" and not _has_all_bytes(tokens):
            return cls(None)
        return cls(int(tokens.lengths_bytes().max()))

    def least_tokens(self, text: str, room_tokens: int) -> int:
        """A number that the text's tokens are not below; 0 where it may fit into room_tokens."""
        longest = self.longest_token_bytes
        if longest is None or len(text) <= room_tokens * longest:
            return 0
        passed_over = sum(map(len, _PASSED_OVER.findall(text)))
        least = -(-(len(text) - passed_over) // longest)
        return least if least > room_tokens else 0


NO_BOUND = LengthBound(None)


def _has_all_bytes(tokens: GgufStringArray) -> bool:
    """Whether the bytes of all letters have a token: GPT-2's vocabularies drop others.

    Source: bytes_to_unicode() of GPT-2; the bytes of control characters do not count here.
    """
    needed = {*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 256))}
    needed |= {chr(code) for code in range(290, 324)}  # bytes 128 to 160, and 173
    short = tokens.lengths_bytes() <= 2
    return needed <= {tokens[index] for index in short.nonzero()[0].tolist()}
