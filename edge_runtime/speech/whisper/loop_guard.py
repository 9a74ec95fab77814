"""Detection of decoding loops: with a short context Whisper repeats itself, or writes on.

Measured on 41 clips in four languages, context of 1 s more than the sound: without a guard two of
them run away and word error rates rise from 9 to 24 % (Italian) and from 3 to 36 % (English).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_LONGEST_PHRASE_TOKENS = 12
_PHRASE_TIMES, _TOKEN_TIMES = 3, 5

# Both at once: languages that Whisper spells with several tokens a letter have many tokens and few
# letters, and Chinese the other way round. English speech has 4 tokens and 15 letters a second.
_TOKENS_PER_S, _TOKENS_MORE = 6.0, 10
_CHARACTERS_PER_S, _CHARACTERS_MORE = 22.0, 40


def loop_length(tokens: Sequence[int]) -> int:
    """How many tokens at the end repeat what stands before them: a phrase of up to 12 tokens the
    third time, a single token the fifth. 0: no loop.

    Without them the phrase stands there once.
    """
    for size in range(1, min(_LONGEST_PHRASE_TOKENS, len(tokens) // _PHRASE_TIMES) + 1):
        times = _TOKEN_TIMES if size == 1 else _PHRASE_TIMES
        if _repeats(tokens, size, times):
            return size * (times - 1)
    return 0


def _repeats(tokens: Sequence[int], size: int, times: int) -> bool:
    start = len(tokens) - size * times
    return start >= 0 and all(tokens[n] == tokens[n + size] for n in range(start, len(tokens) - size))


def usual_tokens(duration_s: float) -> int:
    """So many need no second look."""
    return int(_TOKENS_PER_S * duration_s) + _TOKENS_MORE


def is_too_much(tokens: Sequence[int], characters: Callable[[int], int], duration_s: float) -> bool:
    """Whether nobody can have said that in this time; `characters` are those that begin in a token."""
    if len(tokens) <= usual_tokens(duration_s):
        return False
    return sum(map(characters, tokens)) > _CHARACTERS_PER_S * duration_s + _CHARACTERS_MORE
