"""The check that two models share a vocabulary, without which they cannot be compared."""

from __future__ import annotations

from itertools import zip_longest

from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgufStringArray


def check_vocabulary(reference: GgufHeader, other: GgufHeader) -> None:
    """Raises ModelUnsupported, naming the first token in which they differ."""
    pairs = zip_longest(_tokens(reference), _tokens(other))
    for number, (expected, found) in enumerate(pairs):
        if expected != found:
            raise ModelUnsupported(
                f"{other.path.name} has another vocabulary than {reference.path.name}: "
                f"token {number} is {_words(found)}, not {_words(expected)}",
                hint="compare models that were made from the same one",
                path=str(other.path),
                token=number,
            )


def _tokens(header: GgufHeader) -> list[bytes]:
    found = header.metadata.get("tokenizer.ggml.tokens")
    return list(found.iter_bytes()) if isinstance(found, GgufStringArray) else []


def _words(token: bytes | None) -> str:
    return "missing" if token is None else repr(token.decode("utf-8", "replace")[:40])
