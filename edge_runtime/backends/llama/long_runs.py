"""Cutting a text whose long runs would exhaust the stack of llama.cpp's tokenizer.

Byte-pair vocabularies are split into words by regular expressions first. Those of many models go
through std::regex, which calls itself for every character of a match: 300 bytes of stack each, so
that between 24,000 and 32,000 equal letters end a process whose stack has 8 MB (measured, x86-64),
and some of them take time that grows with the square of a run. No word is that long, but a text
from a stranger can be. So a run is cut where it exceeds LONGEST_RUN characters; a text without
such a run goes to llama.cpp whole.

A cut is made where every such expression ends a word anyway: before punctuation that stands behind
a letter or a digit, or else between letters and digits. The tokens are then the same as without it,
except with vocabularies that know no words. Only a run without such a place is cut anywhere.

Source of the expressions: llama.cpp src/llama-vocab.cpp, llm_tokenizer_bpe; src/unicode.cpp.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

LONGEST_RUN = 999  # characters: 0.3 MB of stack; a multiple of 3, as digits are read in threes

_SPACES = r" \t\n\v\f\r"
# Characters that one match may run over. "\s" has more in it than llama.cpp calls a space, and
# _SPACES less, so that neither kind of run can hide in the other.
_RUNS = (rf"[^{_SPACES}]", r"\s", r"[\r\n/]")
_SPACED_RUN = r"(?:[^\W\d_]|[^\w\s]| )"  # "exaone-moe" takes words with single spaces between them for one
_PLACES = tuple(
    re.compile(place)
    for place in (
        r"(?<=[^\W\d_])(?= [^\W\d_])|(?<=[^\W_])(?=[.,!?…。，、()|])",
        r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|(?<=[^\W_])(?=[#-&*-/:-@\[-`{-~])",
    )
)
_JOINER = "\u200d"

CutsToken = Callable[[str, int], bool]


def cut_long_runs(text: str, cuts_token: CutsToken, *, spaced: bool = False) -> list[str]:
    """The text in pieces, none of them with a run of more than LONGEST_RUN characters.

    cuts_token: whether a cut at this index would go through the text of a control token.
    spaced: letters with spaces between them are a run, too.
    """
    if len(text) <= LONGEST_RUN:
        return [text]
    cuts = {cut for run in _long_runs(text, spaced) for cut in _cuts_of_run(text, run, cuts_token)}
    edges = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def _compiled(run: str) -> re.Pattern[str]:
    """Each run once, from its beginning: a search takes time in proportion to the text."""
    return re.compile(rf"(?<!{run}){run}{{{LONGEST_RUN + 1},}}")


_LONG = tuple(_compiled(run) for run in _RUNS)
_LONG_SPACED = _compiled(_SPACED_RUN)


def _long_runs(text: str, spaced: bool) -> Iterator[tuple[int, int]]:
    for pattern in (*_LONG, _LONG_SPACED) if spaced else _LONG:
        yield from (match.span() for match in pattern.finditer(text))


def _cuts_of_run(text: str, run: tuple[int, int], cuts_token: CutsToken) -> Iterator[int]:
    start, end = run
    while end - start > LONGEST_RUN:
        start = _place(text, start, cuts_token)
        yield start


def _place(text: str, start: int, cuts_token: CutsToken) -> int:
    """The best place for a cut in the LONGEST_RUN characters from `start`."""
    last = start + LONGEST_RUN
    for pattern in _PLACES:
        # One more character is shown, for what has to follow the place.
        places = [match.start() for match in pattern.finditer(text, start + 1, last + 2)]
        for place in reversed(places):
            if place <= last and not cuts_token(text, place):
                return place
    for place in range(last, start, -1):
        if not _goes_on(text, place) and not cuts_token(text, place):
            return place
    return last


def _goes_on(text: str, index: int) -> bool:
    """Whether the character here belongs to the one before it: an accent, or a joined emoji."""
    here, before = text[index], text[index - 1]
    return bool(unicodedata.combining(here)) or _JOINER in (here, before) or "\ufe00" <= here <= "\ufe0f"


class TokenTexts:
    """The texts of control tokens, which a cut must not go through."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(text for text in texts if len(text) > 1)
        self._lengths = sorted({len(text) for text in self._texts})

    def are_cut(self, text: str, index: int) -> bool:
        return any(
            text[start : start + length] in self._texts
            for length in self._lengths
            for start in range(max(index - length + 1, 0), index)
        )
