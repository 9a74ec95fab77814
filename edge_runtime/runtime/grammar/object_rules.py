"""Rules of objects: listed properties in the order of the schema, then others.

A state is (object, property, written, counted): which of several possible objects it is, the
first property that may still come, how many were written where a maximum counts them, and how
many differ for certain where a minimum does. A state of the whole is a set of these: objects
that begin alike are written once, until a property tells them apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from .alternatives import Object, Places
from .automaton_rules import string_rows
from .basic_rules import BLANK, SPACE, STRING_REST
from .bounds import MOST_OBJECT_STATES, refuse
from .object_keys import FormOf, Group, Keys, Property, keys_of
from .rules import Ref, Row, Rules, Words

State = tuple[int, int, int, int]
States = tuple[State, ...]


class ObjectWriter:
    """Writes the rules of all objects that one place allows."""

    def __init__(
        self, rules: Rules, items: list[Object], form_of: FormOf, value_rule: Callable[[Places], str]
    ) -> None:
        self._rules, self._value_rule = rules, value_rule
        found = [(item, keys) for item in items if (keys := keys_of(item, form_of)) is not None]
        self._items = [item for item, _ in found]
        self._keys: list[Keys] = [keys for _, keys in found]
        self._last_required = [
            max((index for index, key in enumerate(keys.listed) if key.is_required), default=-1)
            for keys in self._keys
        ]
        self._names: dict[tuple[str, States], str] = {}
        self._current = ""  # the rule that is being written
        self._todo: list[tuple[str, States]] = []
        self._pairs: dict[int, str] = {}
        for item, keys in found:
            self._check_least(item, keys)

    def rows(self) -> list[Row]:
        if not self._items:
            return []
        kinds = {"first": self._first, "next": self._following, "property": self._property}
        start = tuple((number, 0, 0, 0) for number in range(len(self._items)))
        found: list[Row] = [(Words("{"), BLANK, self._rule("first", start))]
        while self._todo:
            kind, states = self._todo.pop()
            self._current = self._names[kind, states]
            self._rules.add(self._current, *kinds[kind](states))
        return found

    def _rule(self, kind: str, states: States) -> Ref:
        """first: a property, or the end where nothing is written; next: a comma or the end; property: one."""
        if (kind, states) not in self._names:
            if len(self._names) > MOST_OBJECT_STATES:
                raise refuse(
                    self._items[0].pointer,
                    f"its properties can be combined in more than {MOST_OBJECT_STATES} states",
                    "leave out minProperties or maxProperties",
                )
            self._names[kind, states] = self._rules.new("obj")
            self._todo.append((kind, states))
        return Ref(self._names[kind, states])

    def _check_least(self, item: Object, keys: Keys) -> None:
        certain = len(keys.listed) + bool(keys.groups)
        if certain < item.least and keys.groups:
            raise refuse(
                f"{item.pointer}/minProperties",
                f"only {certain} of {item.least} names would differ for certain",
                'list the names in "properties", or in "propertyNames" with "enum"',
            )

    def _first(self, states: States) -> Iterator[Row]:
        yield from self._property(states)
        if self._can_end(states):
            yield (Words("}"),)

    def _following(self, states: States) -> Iterator[Row]:
        yield Words(","), BLANK, self._rule("property", states)
        if self._can_end(states):
            yield BLANK, Words("}")

    def _can_end(self, states: States) -> bool:
        return any(
            counted >= self._items[number].least and index > self._last_required[number]
            for number, index, _, counted in states
        )

    def _property(self, states: States) -> Iterator[Row]:
        """One property more, and all that may come behind it."""
        if len(states) == 1:
            yield from self._property_of_one(states[0])
            return
        found: dict[str, dict[Places, list[State]]] = {}
        followers: list[str] = []
        for state in states:
            for key, after in self._next_listed(state):
                found.setdefault(key.name, {}).setdefault(key.value, []).append(after)
            for row in self._others(state):
                followers += [item.name for item in row if isinstance(item, Ref)]
                yield row
        for name, by_value in found.items():
            for value, afters in by_value.items():
                yield self._written(name, value, tuple(sorted(set(afters))))
            followers += [self._value_rule(value) for value in by_value] if len(by_value) > 1 else []
        if len(followers) > 1:
            self._rules.conflicts.append((self._current, tuple(followers)))

    def _property_of_one(self, state: State) -> Iterator[Row]:
        """Rules of one object refer to each other: their size grows with the properties, not the square."""
        number, index, written, counted = state
        listed = self._keys[number].listed
        if index == len(listed):
            yield from self._others(state)
            return
        key = listed[index]
        if (after := self._after(state, index)) is not None:
            yield self._written(key.name, key.value, (after,))
        if not key.is_required:
            yield (self._rule("property", ((number, index + 1, written, counted),)),)

    def _next_listed(self, state: State) -> Iterator[tuple[Property, State]]:
        number, index, _, _ = state
        listed = self._keys[number].listed
        for position in range(index, len(listed)):
            if (after := self._after(state, position)) is not None:
                yield listed[position], after
            if listed[position].is_required:
                return

    def _after(self, state: State, position: int) -> State | None:
        """The state behind the property at `position`; None: it would be one too many."""
        number, _, written, counted = state
        item = self._items[number]
        if item.most is not None and written >= item.most:
            return None
        return (
            number,
            position + 1,
            written + 1 if item.most is not None else 0,
            min(counted + 1, item.least),
        )

    def _written(self, name: str, value: Places, after: States) -> Row:
        text = json.dumps(name, ensure_ascii=False) + ":"
        return Words(text), SPACE, Ref(self._value_rule(value)), self._rule("next", after)

    def _others(self, state: State) -> Iterator[Row]:
        """Names that are not listed, to the end of the object. They may repeat: one counts."""
        number, index, written, counted = state
        item, keys = self._items[number], self._keys[number]
        if index <= self._last_required[number] or counted + 1 < item.least:
            return
        left = None if item.most is None else item.most - written - 1
        if keys.groups and (left is None or left >= 0):
            more = self._pair(number)
            yield (Ref(more), *self._rules.repeated(f"{more}-more", 0, left), BLANK, Words("}"))

    def _pair(self, number: int) -> str:
        """The rule of one name that is not listed, with its value."""
        if number not in self._pairs:
            self._pairs[number] = name = self._rules.new("pair")
            for group in self._keys[number].groups:
                for row in self._name_rows(group):
                    value = self._value_rule(group.value)
                    self._rules.add(name, (*row, Words(":"), SPACE, Ref(value)))
            self._rules.add(f"{name}-more", (Words(","), BLANK, Ref(name)))
        return self._pairs[number]

    def _name_rows(self, group: Group) -> list[Row]:
        if group.automaton is None:
            return [(Words('"'), Ref(STRING_REST))]
        return string_rows(self._rules, group.automaton, "key")
