"""Rules of values: all that one place of a schema allows."""

from __future__ import annotations

from collections.abc import Iterator

from .alternatives import Array, Literal, Number, Object, Places, Text
from .array_rules import ArrayWriter
from .automaton import (
    Automaton,
    TooManyStates,
    intersection,
    longest_text,
    of_length,
    of_words,
    shortest_text,
)
from .automaton_rules import number_rows, string_rows
from .basic_rules import CHAR, INTEGER, NUMBER, add_basic_rules
from .bounds import MOST_STATES, refuse
from .document import Document
from .normalizer import Normalizer
from .numbers import FRACTION_DIGITS, WHOLE_DIGITS, number_automaton
from .object_rules import ObjectWriter
from .rules import Ref, Row, Rules, Words
from .spoken_types import narrowed

_MOST_LISTED_WORDS = 40  # more texts than these share their beginnings


class ValueWriter:
    """Writes a rule for each set of schemas that apply together, once."""

    def __init__(self, document: Document) -> None:
        self.rules = Rules()
        add_basic_rules(self.rules)
        self._document, self._normalizer = document, Normalizer(document)
        self._names: dict[Places, str] = {}
        self._todo: list[Places] = []

    def write(self, places: Places) -> str:
        """The name of the rule, with all that it refers to written."""
        name = self.rule(places)
        while self._todo:
            now = self._todo.pop()
            self.rules.add(self._names[now], *self._rows(now))
        return name

    def rule(self, places: Places) -> str:
        places = self._normalizer.canonical(places)
        if places not in self._names:
            self._names[places] = self.rules.new("value")
            self._todo.append(places)
        return self._names[places]

    def _rows(self, places: Places) -> Iterator[Row]:
        form = narrowed(self._normalizer.form(places), places, self._document)
        objects = [item for item in form if isinstance(item, Object)]
        arrays = [item for item in form if isinstance(item, Array)]
        try:
            yield from self._literals([item for item in form if isinstance(item, Literal)])
            for item in form:
                if isinstance(item, Number):
                    yield from self._number(item)
                elif isinstance(item, Text):
                    yield from self._text(item)
            yield from self._arrays(arrays, self._names[places])
            yield from ObjectWriter(self.rules, objects, self._normalizer.form, self.rule).rows()
        except TooManyStates:
            pointer = max((place.pointer for place in places), default="")
            reason = f"its names need an automaton of more than {MOST_STATES} states"
            raise refuse(pointer, reason, "list fewer properties or simpler patterns") from None

    def _arrays(self, arrays: list[Array], owner: str) -> Iterator[Row]:
        names = []
        for item in arrays:
            rows = ArrayWriter(self.rules, item, self._normalizer.form, self.rule).rows()
            names.append(self.rules.new("array"))
            self.rules.add(names[-1], *rows)
            yield (Ref(names[-1]),)
        if len(names) > 1:
            self.rules.conflicts.append((owner, tuple(names)))

    def _literals(self, found: list[Literal]) -> Iterator[Row]:
        words = [item.value for item in found if item.text.startswith('"')]
        if len(words) > _MOST_LISTED_WORDS:
            yield from string_rows(self.rules, of_words(frozenset(words)), "word")
            found = [item for item in found if not item.text.startswith('"')]
        yield from ((Words(item.text),) for item in found)

    def _number(self, item: Number) -> list[Row]:
        if item == Number():
            return [(Ref(NUMBER),)]
        if item == Number(is_integer=True):
            return [(Ref(INTEGER),)]
        try:
            steps = tuple(sorted(item.steps))
            automaton = number_automaton(item.is_integer, item.low, item.high, steps)
        except TooManyStates:
            automaton = None
        if automaton is None:
            raise refuse(
                item.pointer,
                "minimum, maximum and multipleOf cannot be kept exactly: a bound has more than "
                f"{FRACTION_DIGITS} decimal places, or multipleOf is too large",
                "give rounder numbers",
            )
        if automaton.is_empty and _has_members(item):
            raise refuse(
                item.pointer,
                f"minimum and maximum leave only numbers of more than {WHOLE_DIGITS} digits",
                "give smaller bounds",
            )
        return [] if automaton.is_empty else number_rows(self.rules, automaton, "num")

    def _text(self, item: Text) -> list[Row]:
        if item.automaton is None and item.format is None:
            return [(Words('"'), *self.rules.repeated(CHAR, item.least, item.most), Words('"'))]
        automaton = self._automaton(item)
        return [] if automaton.is_empty else string_rows(self.rules, automaton, "str")

    def _automaton(self, item: Text) -> Automaton:
        keywords = []
        found: Automaton | None = None
        for keyword, part in (("pattern", item.automaton), ("format", item.format)):
            if part is not None:
                keywords.append(keyword)
                found = part if found is None else self._both(found, part, keywords, item.pointer)
        assert found is not None
        longest = longest_text(found)
        is_long = item.most is not None and (longest is None or longest > item.most)
        if not found.is_empty and (is_long or shortest_text(found) < item.least):
            keywords.append("minLength and maxLength")
            if max(item.least, item.most or 0) > MOST_STATES:
                raise self._too_many(keywords, item.pointer)
            found = self._both(found, of_length(item.least, item.most), keywords, item.pointer)
        return found

    def _both(self, left: Automaton, right: Automaton, keywords: list[str], pointer: str) -> Automaton:
        try:
            return intersection(left, right)
        except TooManyStates:
            raise self._too_many(keywords, pointer) from None

    def _too_many(self, keywords: list[str], pointer: str) -> Exception:
        reason = f"{' with '.join(keywords)} needs an automaton of more than {MOST_STATES} states"
        return refuse(pointer, reason, "give smaller lengths, or put the length into the pattern")


def _has_members(item: Number) -> bool:
    """Whether its bounds leave a number, of whatever size."""
    if item.low is None or item.high is None:
        return True
    return item.low.value < item.high.value and not item.is_integer
