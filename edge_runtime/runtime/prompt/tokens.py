"""Token ids to text and back, without a chat template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...backends.backend import Backend
from ...errors import OptionInvalid


def check_token_ids(tokens: Iterable[int], vocabulary_size: int, option: str) -> tuple[int, ...]:
    """Plain integers. llama.cpp would end the process on an id that its vocabulary does not have.

    Raises OptionInvalid.
    """
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise OptionInvalid(
            f"{option}: a list of token ids is needed, this is of type {type(tokens).__name__}",
            hint="tokenize() makes them of text",
            option=option,
        )
    tokens = tuple(tokens)
    for token in tokens:
        if (
            isinstance(token, bool)
            or not isinstance(token, (int, np.integer))
            or not 0 <= token < vocabulary_size
        ):
            raise OptionInvalid(
                f"{option}: {token!r} is no token id of this model",
                hint=f"whole numbers from 0 to {vocabulary_size - 1}",
                option=option,
            )
    return tuple(int(token) for token in tokens)


def text_of_tokens(backend: Backend, tokens: Sequence[int], *, keep_special: bool) -> str:
    """The text that tokenizing has taken apart; bytes that are no whole character become U+FFFD."""
    texts = [backend.token_text(token) for token in tokens]
    spelled = b"".join(text.spelled if keep_special else text.shown for text in texts)
    if spelled.startswith(b" ") and _puts_space_in_front(backend):
        spelled = spelled[1:]
    return spelled.decode("utf-8", errors="replace")


def _puts_space_in_front(backend: Backend) -> bool:
    """Some SentencePiece vocabularies begin every text with a space of their own."""
    first = backend.tokenize("a", add_special=False, parse_special=False)
    return bool(first) and backend.token_text(first[0]).shown.startswith(b" ")
