"""The names an object may have: those its schema lists, and groups of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from .alternatives import ANYTHING, Form, Literal, Object, Place, Places, Text
from .automaton import Automaton, complement, finite_words, intersection, of_length, of_words
from .bounds import refuse

_MOST_PATTERNS = 4
_MOST_LISTED = 100  # names of a group that are few enough to be listed
FormOf = Callable[[Places], Form]


@dataclass(frozen=True)
class Property:
    name: str
    value: Places
    is_required: bool


@dataclass(frozen=True)
class Group:
    """Names that are not listed; None: any."""

    automaton: Automaton | None
    value: Places


@dataclass(frozen=True)
class Keys:
    listed: tuple[Property, ...]
    groups: tuple[Group, ...]


def keys_of(item: Object, form_of: FormOf) -> Keys | None:
    """None: a required property cannot be written. Raises OptionInvalid and TooManyStates."""
    allowed = _names(item, form_of) if item.names else None
    listed = []
    for name in item.declared:
        is_possible = (allowed is None or allowed.accepts(name)) and bool(form_of(item.value(name)))
        if is_possible:
            listed.append(Property(name, item.value(name), name in item.required))
        elif name in item.required:
            return None
    groups = []
    for group in _groups(item, allowed, form_of):
        words = finite_words(group.automaton, _MOST_LISTED) if group.automaton is not None else None
        if words is None:
            groups.append(group)
        else:
            listed += [Property(word, group.value, False) for word in words]
    return Keys(tuple(listed), tuple(groups))


def _is_open(item: Object, form_of: FormOf) -> bool:
    """Whether it may have names that its schemas do not speak of.

    A schema that lists properties and says nothing of others is taken to mean these only,
    unless it could not be satisfied so.
    """
    if any(part.others is not None for part in item.parts):
        return True
    patterns = any(part.patterns for part in item.parts)
    named = [name for name in item.declared if form_of(item.value(name))]
    return (not named and not patterns) or (item.least > len(named) and not patterns)


def _groups(item: Object, allowed: Automaton | None, form_of: FormOf) -> list[Group]:
    """Names that are not declared, by the patterns that they match."""
    patterns = tuple(dict.fromkeys(found for part in item.parts for found, _ in part.patterns))
    if len(patterns) > _MOST_PATTERNS:
        raise refuse(
            f"{item.pointer}/patternProperties",
            f"more than {_MOST_PATTERNS} patterns for the names of one object",
            "join some of the patterns",
        )
    is_open = _is_open(item, form_of)
    found = []
    for matches in product((True, False), repeat=len(patterns)):
        matched = {pattern for pattern, does in zip(patterns, matches, strict=True) if does}
        if not matched and not is_open:
            continue
        value = _value(item, matched)
        if not form_of(value):
            continue
        automaton = allowed
        if item.declared:
            automaton = _and(automaton, complement(of_words(frozenset(item.declared))))
        for pattern in patterns:
            automaton = _and(automaton, pattern if pattern in matched else complement(pattern))
        if automaton is None or not automaton.is_empty:
            found.append(Group(automaton, value))
    return found


def _and(left: Automaton | None, right: Automaton) -> Automaton:
    return right if left is None else intersection(left, right)


def _value(item: Object, matched: set[Automaton]) -> Places:
    """Of an undeclared name that matches these patterns and no other."""
    found: frozenset[Place] = ANYTHING
    for part in item.parts:
        inner = [places for pattern, places in part.patterns if pattern in matched]
        found = found.union(*inner) if inner else found | (part.others or ANYTHING)
    return found


def _names(item: Object, form_of: FormOf) -> Automaton:
    """The texts that `propertyNames` allows."""
    words: set[str] = set()
    found: list[Automaton] = []
    for alternative in form_of(item.names):
        if isinstance(alternative, Literal) and isinstance(alternative.value, str):
            words.add(alternative.value)
        elif isinstance(alternative, Text):
            automaton = of_length(alternative.least, alternative.most)
            for part in (alternative.automaton, alternative.format):
                automaton = _and(part, automaton) if part is not None else automaton
            found.append(automaton)
    if words or not found:
        found.append(of_words(frozenset(words)))
    union = found[0]
    for other in found[1:]:
        union = complement(intersection(complement(union), complement(other)))
    return union
