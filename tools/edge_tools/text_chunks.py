"""A text cut into chunks of tokens, each of them a text of its own to the model.

As llama.cpp's perplexity and imatrix tools do it: the tokens of the whole text, cut
every `context_tokens`; where the model wants a token to begin with, it replaces each
chunk's first. What is left at the end is not used.

Source: llama.cpp at 0c1e57098, tools/perplexity/perplexity.cpp and tools/imatrix/imatrix.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.backends.llama.vocabulary import Vocabulary
from edge_runtime.errors import ModelUnsupported, OptionInvalid
from edge_runtime.gguf.header import GgufHeader

DEFAULT_CONTEXT_TOKENS = 512
FEWEST_CONTEXT_TOKENS = 16
_LETTERS_A_TOKEN = 16  # more than any text in a human language has

Chunks = tuple[list[int], ...]


def chunk_tokens(wanted: int | None, headers: Sequence[GgufHeader]) -> int:
    """The size of a chunk for these models: `wanted`, else 512 or what all were trained for.

    Raises OptionInvalid for one that is too small, or too large for a model, and
    ModelUnsupported for a model without a vocabulary.
    """
    for header in headers:
        if not header.vocabulary_size:
            hint = "give a model that can read text"
            raise ModelUnsupported(f"{header.path.name} has no vocabulary", hint=hint, path=str(header.path))
    tightest = min(headers, key=lambda header: header.context_length or 2**31)
    trained = tightest.context_length or 2**31
    tokens = min(DEFAULT_CONTEXT_TOKENS, trained) if wanted is None else wanted
    if not FEWEST_CONTEXT_TOKENS <= tokens <= trained:
        raise OptionInvalid(
            f"context_tokens: {tokens} do not do: at least {FEWEST_CONTEXT_TOKENS}, and at most "
            f"the {trained} that {tightest.path.name} was trained for",
            hint=f"leave it out: {min(DEFAULT_CONTEXT_TOKENS, trained)} is the default",
            option="context_tokens",
            value=tokens,
        )
    return tokens


def cut_chunks(vocabulary: Vocabulary, text: str, context_tokens: int, most: int | None) -> Chunks:
    """As many chunks as the text has, and at most `most`.

    Raises OptionInvalid for a text that is too short for one.
    """
    tokens = _tokens(vocabulary, text, None if most is None else most * context_tokens)
    count = len(tokens) // context_tokens
    if not count:
        raise OptionInvalid(
            f"text: it has {len(tokens)} tokens, and one chunk needs {context_tokens}",
            hint="give a longer text" + _smaller_context(len(tokens)),
            option="text",
            text_tokens=len(tokens),
            context_tokens=context_tokens,
        )
    count = count if most is None else min(count, most)
    chunks = tuple(tokens[n * context_tokens : (n + 1) * context_tokens] for n in range(count))
    beginning = vocabulary.beginning()
    if beginning is not None:
        for chunk in chunks:
            chunk[0] = beginning
    return chunks


def _tokens(vocabulary: Vocabulary, text: str, wanted: int | None) -> list[int]:
    """At least `wanted` of its first tokens where it has them: all would take two seconds a megabyte."""
    part = text if wanted is None else text[: wanted * _LETTERS_A_TOKEN]
    tokens = vocabulary.tokens(part)
    if wanted is not None and len(tokens) < wanted and len(part) < len(text):
        return vocabulary.tokens(text)
    return tokens


def _smaller_context(text_tokens: int) -> str:
    return f", or context_tokens={text_tokens}" if text_tokens >= FEWEST_CONTEXT_TOKENS else ""
