"""Automata to rules: one rule a state, so that llama.cpp follows one reading of a text only."""

from __future__ import annotations

from collections.abc import Iterator

from .automaton import Automaton
from .basic_rules import PLAIN, STRING_REST
from .char_sets import ANY, CharSet, both, char_set
from .rules import Item, OneOf, Ref, Row, Rules, Words

_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_ESCAPED = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C))


def string_rows(rules: Rules, automaton: Automaton, prefix: str) -> list[Row]:
    """The JSON strings, in quotes, of the texts that it accepts."""
    return [(Words('"'), *_Writer(rules, automaton, prefix, is_string=True).begin())]


def number_rows(rules: Rules, automaton: Automaton, prefix: str) -> list[Row]:
    """The texts that it accepts, as they are."""
    return [_Writer(rules, automaton, prefix, is_string=False).begin()]


class _Writer:
    def __init__(self, rules: Rules, automaton: Automaton, prefix: str, *, is_string: bool) -> None:
        self._rules, self._automaton, self._prefix = rules, automaton, prefix
        self._end: Row = (Words('"'),) if is_string else ()
        self._is_string = is_string
        self._names: dict[int, str] = {}
        self._todo: list[int] = []

    def begin(self) -> Row:
        row = self._from(0)
        while self._todo:
            state = self._todo.pop()
            self._rules.add(self._names[state], *self._rows(state))
        return row

    def _from(self, state: int) -> Row:
        """The items that lead on from a state: its rule, or what it comes to where there is no choice."""
        items: list[Item] = []
        written = ""
        while (step := self._only_step(state)) is not None:
            written += step[0]
            state = step[1]
        if written:
            items.append(Words(written))
        moves = self._automaton.moves[state]
        if not moves:
            return (*items, *self._end)
        if self._is_string and self._is_everything(state):
            return (*items, Ref(STRING_REST))
        if state not in self._names:
            self._names[state] = self._rules.new(self._prefix)
            self._todo.append(state)
        return (*items, Ref(self._names[state]))

    def _only_step(self, state: int) -> tuple[str, int] | None:
        moves = self._automaton.moves[state]
        if len(moves) != 1 or moves[0][0] != moves[0][1] or self._automaton.accepting[state]:
            return None
        char = chr(moves[0][0])
        return (_written(char) if self._is_string else char), moves[0][2]

    def _is_everything(self, state: int) -> bool:
        return self._automaton.accepting[state] and self._automaton.moves[state] == tuple(
            (first, last, state) for first, last in ANY
        )

    def _rows(self, state: int) -> Iterator[Row]:
        by_target: dict[int, list[tuple[int, int]]] = {}
        for first, last, target in self._automaton.moves[state]:
            by_target.setdefault(target, []).append((first, last))
        if self._automaton.accepting[state]:
            yield self._end
        for target, ranges in by_target.items():
            following = self._from(target)
            for items in self._characters(char_set(ranges)):
                yield _joined((*items, *following))

    def _characters(self, chars: CharSet) -> Iterator[Row]:
        """How a character of the set is written: as it is, or escaped where JSON demands it."""
        if not self._is_string or not both(chars, _ESCAPED):
            yield (OneOf(chars),)
            return
        plain = both(chars, PLAIN)
        if plain:
            yield (OneOf(plain),)
        short = [char for char in _SHORT if both(chars, ((ord(char), ord(char)),))]
        if short:
            yield Words("\\"), OneOf(char_set((ord(_SHORT[c][1]), ord(_SHORT[c][1])) for c in short))
        for row in (0, 1):
            codes = [c for c in range(16) if chr(16 * row + c) not in _SHORT]
            left = [c for c in codes if both(chars, ((16 * row + c, 16 * row + c),))]
            if left:
                digits = {ord(case) for c in left for case in (f"{c:x}", f"{c:X}")}
                yield Words(f"\\u00{row}"), OneOf(char_set((digit, digit) for digit in digits))


def _written(char: str) -> str:
    return _SHORT.get(char) or (char if ord(char) >= 0x20 else f"\\u{ord(char):04x}")


def _joined(row: Row) -> Row:
    """One character and the words behind it as one literal."""
    found: list[Item] = []
    for item in row:
        if isinstance(item, OneOf) and len(item.chars) == 1 and item.chars[0][0] == item.chars[0][1]:
            item = Words(chr(item.chars[0][0]))
        if isinstance(item, Words) and found and isinstance(found[-1], Words):
            found[-1] = Words(found[-1].text + item.text)
        else:
            found.append(item)
    return tuple(found)
