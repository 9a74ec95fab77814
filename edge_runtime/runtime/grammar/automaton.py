"""Deterministic automata over code points: intersection, complement, size, emptiness."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from .bounds import MOST_STATES
from .char_sets import ANY

Move = tuple[int, int, int]  # first code point, last code point, next state
_ROUNDS = 60
_MOST_LETTERS = 100_000  # states of listed texts, which never multiply
State = TypeVar("State", bound=Hashable)


class TooManyStates(Exception):
    """An automaton would have more states than the bound."""


@dataclass(frozen=True, eq=False)  # compared by identity: makers keep and hand out the same one again
class Automaton:
    """State 0 is the start. A state without a move for a character has no way to accept."""

    moves: tuple[tuple[Move, ...], ...]  # a state's, sorted, disjoint
    accepting: tuple[bool, ...]

    def accepts(self, text: str) -> bool:
        state = 0
        for code in map(ord, text):
            state = next((to for first, last, to in self.moves[state] if first <= code <= last), -1)
            if state < 0:
                return False
        return self.accepting[state]

    @property
    def is_empty(self) -> bool:
        return not any(self.accepting)


def explore(
    start: State,
    moves_of: Callable[[State], Iterable[tuple[int, int, State]]],
    is_accepting: Callable[[State], bool],
    most_states: int = MOST_STATES,
) -> Automaton:
    """The automaton of all states that `start` leads to, without those that never accept.

    Raises TooManyStates.
    """
    numbers: dict[State, int] = {start: 0}
    order = [start]
    moves: list[list[Move]] = []
    for state in order:  # grows while it is walked
        found = []
        for first, last, target in moves_of(state):
            number = numbers.setdefault(target, len(order))
            if number == len(order):
                order.append(target)
                if number >= most_states:
                    raise TooManyStates
            found.append((first, last, number))
        moves.append(found)
    return _smallest(moves, [is_accepting(state) for state in order])


def _smallest(moves: list[list[Move]], accepting: list[bool]) -> Automaton:
    """The same language with fewer states: as few as possible, unless that takes more than _ROUNDS rounds.

    Moore's partition, which begins with how far each state is from accepting.
    """
    block = _distances(moves, accepting)
    if block[0] < 0:
        return Automaton(((),), (False,))
    alive = [state for state, distance in enumerate(block) if distance >= 0]
    kept = [[move for move in row if block[move[2]] >= 0] for row in moves]
    count = 0
    for _ in range(_ROUNDS):
        signatures: dict[object, int] = {}
        following = [-1] * len(block)
        for state in alive:
            key = (block[state], _joined(kept[state], block))
            following[state] = signatures.setdefault(key, len(signatures))
        block = following
        if len(signatures) == count:
            return _quotient(kept, accepting, block, count)
        count = len(signatures)
    for number, state in enumerate(alive):
        block[state] = number
    return _quotient(kept, accepting, block, len(alive))


def _distances(moves: list[list[Move]], accepting: list[bool]) -> list[int]:
    """How many characters each state is from accepting; -1: it never accepts."""
    sources: list[list[int]] = [[] for _ in moves]
    for state, row in enumerate(moves):
        for _, _, target in row:
            sources[target].append(state)
    found = [0 if accept else -1 for accept in accepting]
    todo = [state for state, accept in enumerate(accepting) if accept]
    for state in todo:  # grows while it is walked
        for source in sources[state]:
            if found[source] < 0:
                found[source] = found[state] + 1
                todo.append(source)
    return found


def _joined(row: Iterable[Move], block: list[int]) -> tuple[Move, ...]:
    """Moves with blocks as targets, neighbours with the same target joined."""
    found: list[Move] = []
    for first, last, target in sorted(row):
        to = block[target]
        if found and found[-1][2] == to and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last, to)
        else:
            found.append((first, last, to))
    return tuple(found)


def _quotient(moves: list[list[Move]], accepting: list[bool], block: list[int], count: int) -> Automaton:
    """One state a block, the start's first."""
    rank = {block[0]: 0}
    for number in range(count):
        rank.setdefault(number, len(rank))
    rows: list[tuple[Move, ...]] = [()] * count
    accepts = [False] * count
    renamed = [rank.get(number, -1) for number in block]
    for state, row in enumerate(moves):
        if renamed[state] >= 0:
            rows[renamed[state]] = _joined(row, renamed)
            accepts[renamed[state]] = accepting[state]
    return Automaton(tuple(rows), tuple(accepts))


@lru_cache(maxsize=256)
def intersection(left: Automaton, right: Automaton) -> Automaton:
    """Raises TooManyStates."""

    def moves_of(pair: tuple[int, int]) -> Iterable[tuple[int, int, tuple[int, int]]]:
        a, b = left.moves[pair[0]], right.moves[pair[1]]
        i = j = 0
        while i < len(a) and j < len(b):
            first, last = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
            if first <= last:
                yield first, last, (a[i][2], b[j][2])
            if a[i][1] < b[j][1]:
                i += 1
            else:
                j += 1

    return explore((0, 0), moves_of, lambda pair: left.accepting[pair[0]] and right.accepting[pair[1]])


@lru_cache(maxsize=256)
def complement(automaton: Automaton) -> Automaton:
    """All texts that it does not accept."""

    def moves_of(state: int) -> Iterable[tuple[int, int, int]]:
        row = automaton.moves[state] if state >= 0 else ()
        for first, last in ANY:
            start = first
            for low, high, target in row:
                if high < first or low > last:
                    continue
                if start < low:
                    yield start, low - 1, -1
                yield max(low, first), min(high, last), target
                start = high + 1
            if start <= last:
                yield start, last, -1

    return explore(0, moves_of, lambda state: state < 0 or not automaton.accepting[state], _MOST_LETTERS)


@lru_cache(maxsize=256)
def of_words(words: frozenset[str]) -> Automaton:
    """Accepts these texts and no other."""

    def moves_of(prefix: str) -> Iterable[tuple[int, int, str]]:
        return [(ord(char), ord(char), prefix + char) for char in following[prefix]]

    following: dict[str, list[str]] = {"": []}
    for word in sorted(words):
        for end in range(1, len(word) + 1):
            prefix = word[:end]
            if prefix not in following:
                following[prefix] = []
                following[word[: end - 1]].append(word[end - 1])
    return explore("", moves_of, words.__contains__, _MOST_LETTERS)


@lru_cache(maxsize=64)
def of_length(least: int, most: int | None) -> Automaton:
    """Accepts every text of `least` to `most` code points."""
    end = least if most is None else most

    def moves_of(length: int) -> Iterable[tuple[int, int, int]]:
        if most is None or length < most:
            for first, last in ANY:
                yield first, last, min(length + 1, end) if most is None else length + 1

    return explore(0, moves_of, lambda length: least <= length)


def finite_words(automaton: Automaton, most: int) -> list[str] | None:
    """Every text that it accepts, shortest first; None where there are more than `most`."""
    found: list[str] = []
    todo = [("", 0)]
    steps = 0
    while todo:
        following: list[tuple[str, int]] = []
        for text, state in todo:
            if automaton.accepting[state]:
                found.append(text)
            for first, last, target in automaton.moves[state]:
                if len(found) + len(following) + last - first >= most or (steps := steps + 1) > 50 * most:
                    return None
                following += [(text + chr(code), target) for code in range(first, last + 1)]
        todo = following
    return found if len(found) <= most else None


def longest_text(automaton: Automaton) -> int | None:
    """Code points of the longest text that it accepts; None where there is no longest one."""
    waiting = [0] * len(automaton.moves)  # moves into each state from states not done yet
    for row in automaton.moves:
        for _, _, target in row:
            waiting[target] += 1
    length = [0] * len(waiting)
    todo = [] if waiting[0] else [0]
    done = 0
    while todo:
        state = todo.pop()
        done += 1
        for _, _, target in automaton.moves[state]:
            length[target] = max(length[target], length[state] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                todo.append(target)
    return max(length) if done == len(waiting) else None  # else there is a circle


def shortest_text(automaton: Automaton) -> int:
    """Code points of the shortest one, of an automaton that accepts something."""
    reached, length = {0}, 0
    while not any(automaton.accepting[state] for state in reached):
        reached = {target for state in reached for _, _, target in automaton.moves[state]}
        length += 1
    return length
