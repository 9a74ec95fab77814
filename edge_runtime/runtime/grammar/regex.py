"""Regular expressions to automata."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .automaton import Automaton, TooManyStates, explore
from .char_sets import ANY, CharSet
from .regex_reader import Anchor, Chars, Choice, Node, Repeat, Sequence, read_regex

_MOST_STEPS = 20_000  # states before they are made deterministic
_START, _END = "start", "end"


@lru_cache(maxsize=256)
def of_pattern(text: str) -> Automaton:
    """Accepts the texts in which the expression is found; ^ and $ tie it to the ends.

    Raises RegexRefused and TooManyStates.
    """
    everything = Repeat(Chars(ANY), 0, None)
    return _automaton(Sequence((everything, read_regex(text), everything)))


@lru_cache(maxsize=64)
def of_whole(text: str) -> Automaton:
    """Accepts the texts that the expression describes from end to end."""
    return _automaton(read_regex(text))


class _Steps:
    """A nondeterministic automaton; an anchor is a step that takes no character."""

    def __init__(self) -> None:
        self.moves: list[list[tuple[CharSet, int]]] = []
        self.free: list[list[tuple[str, int]]] = []  # "" or the anchor that must hold, next step

    def new(self) -> int:
        if len(self.moves) >= _MOST_STEPS:
            raise TooManyStates
        self.moves.append([])
        self.free.append([])
        return len(self.moves) - 1

    def add(self, node: Node, start: int) -> int:
        """The step after `node`, which begins at `start`."""
        if isinstance(node, Sequence):
            for part in node.parts:
                start = self.add(part, start)
            return start
        if isinstance(node, Repeat):
            return self._add_repeat(node, start)
        end = self.new()
        if isinstance(node, Chars):
            self.moves[start].append((node.chars, end))
        elif isinstance(node, Anchor):
            self.free[start].append((_END if node.at_end else _START, end))
        else:
            self._add_choice(node, start, end)
        return end

    def _add_choice(self, node: Choice, start: int, end: int) -> None:
        for option in node.options:
            begin = self.new()
            self.free[start].append(("", begin))
            self.free[self.add(option, begin)].append(("", end))

    def _add_repeat(self, node: Repeat, start: int) -> int:
        for _ in range(node.least):
            start = self.add(node.part, start)
        if node.most is None:
            loop, end = self.new(), self.new()
            self.free[start].append(("", loop))
            self.free[loop].append(("", end))
            self.free[self.add(node.part, loop)].append(("", loop))
            return end
        end = self.new()
        for _ in range(node.most - node.least):
            self.free[start].append(("", end))
            start = self.add(node.part, start)
        self.free[start].append(("", end))
        return end

    def closure(self, steps: Iterable[int], holding: frozenset[str]) -> frozenset[int]:
        found = set(steps)
        todo = list(found)
        while todo:
            for needed, target in self.free[todo.pop()]:
                if target not in found and (not needed or needed in holding):
                    found.add(target)
                    todo.append(target)
        return frozenset(found)


def _automaton(node: Node) -> Automaton:
    steps = _Steps()
    end = steps.add(node, start := steps.new())
    nowhere: frozenset[str] = frozenset()

    # A state: the steps it may be at, and whether nothing has been read yet.
    def moves_of(
        state: tuple[frozenset[int], bool],
    ) -> Iterable[tuple[int, int, tuple[frozenset[int], bool]]]:
        here = [move for step in state[0] for move in steps.moves[step]]
        for first, last, targets in _split(here):
            yield first, last, (steps.closure(targets, nowhere), False)

    def is_accepting(state: tuple[frozenset[int], bool]) -> bool:
        holding = frozenset({_END, _START}) if state[1] else frozenset({_END})
        return end in steps.closure(state[0], holding)

    return explore((steps.closure([start], frozenset({_START})), True), moves_of, is_accepting)


def _split(moves: list[tuple[CharSet, int]]) -> list[tuple[int, int, frozenset[int]]]:
    """Disjoint ranges, each with the targets of all moves that it is in."""
    events: dict[int, list[tuple[int, int]]] = {}
    for chars, target in moves:
        for first, last in chars:
            events.setdefault(first, []).append((target, 1))
            events.setdefault(last + 1, []).append((target, -1))
    counts: dict[int, int] = {}
    found: list[tuple[int, int, frozenset[int]]] = []
    places = sorted(events)
    for index, place in enumerate(places[:-1]):
        for target, change in events[place]:
            counts[target] = counts.get(target, 0) + change
            if not counts[target]:
                del counts[target]
        if counts:
            found.append((place, places[index + 1] - 1, frozenset(counts)))
    return found
