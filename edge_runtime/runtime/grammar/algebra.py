"""Intersection, complement and emptiness of what schemas allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from .alternatives import (
    EVERYTHING,
    Alternative,
    Array,
    Form,
    Literal,
    Number,
    Object,
    Places,
    Text,
    both_arrays,
    both_numbers,
    both_objects,
    kind_of,
    literal,
    smaller,
)
from .automaton import Automaton, intersection, of_length
from .bounds import MOST_ALTERNATIVES, MOST_LISTED
from .numbers import Limit

FormOf = Callable[[Places], Form]


class TooManyAlternatives(Exception):
    """More than MOST_ALTERNATIVES, or more than MOST_LISTED values."""


def distinct(alternatives: Iterable[Alternative]) -> Form:
    found = tuple(dict.fromkeys(alternatives))
    listed = sum(isinstance(item, Literal) for item in found)
    if listed > MOST_LISTED or len(found) - listed > MOST_ALTERNATIVES:
        raise TooManyAlternatives
    return found


def intersect(left: Form, right: Form, form_of: FormOf) -> Form:
    """Raises TooManyAlternatives and TooManyStates."""
    if left == EVERYTHING:
        return right
    if right == EVERYTHING:
        return left
    found = []
    for a in left:
        kind = kind_of(a)
        for b in right:
            if kind is kind_of(b) and (both := _both(a, b, form_of)) is not None:
                found.append(both)
    return distinct(found)


def _both(left: Alternative, right: Alternative, form_of: FormOf) -> Alternative | None:
    """Members of both; None where there are clearly none."""
    if isinstance(left, Literal):
        is_in = left == right if isinstance(right, Literal) else accepts(right, left.value, form_of)
        return left if is_in else None
    if isinstance(right, Literal):
        return _both(right, left, form_of)
    both: Alternative | None = None
    if isinstance(left, Number) and isinstance(right, Number):
        both = both_numbers(left, right)
    elif isinstance(left, Text) and isinstance(right, Text):
        both = both_texts(left, right)
    elif isinstance(left, Array) and isinstance(right, Array):
        both = both_arrays(left, right)
    elif isinstance(left, Object) and isinstance(right, Object):
        both = both_objects(left, right)
    return both if both is not None and not is_clearly_empty(both) else None


def both_texts(left: Text, right: Text) -> Text:
    return Text(
        _both_automata(left.automaton, right.automaton),
        _both_automata(left.format, right.format),
        max(left.least, right.least),
        smaller(left.most, right.most),
        left.pointer or right.pointer,
    )


def _both_automata(left: Automaton | None, right: Automaton | None) -> Automaton | None:
    if left is None or right is None or left is right:
        return left or right
    return intersection(left, right)


def is_clearly_empty(item: Alternative) -> bool:
    """Without a look into properties and items. A number without a member may pass."""
    if isinstance(item, Number):
        return _is_empty_number(item)
    if isinstance(item, (Text, Array, Object)) and item.most is not None and item.most < item.least:
        return True
    if isinstance(item, Text) and item.automaton is not None:
        found = item.automaton
        if found.is_empty:
            return True
        return bool(item.least or item.most is not None) and (
            intersection(found, of_length(item.least, item.most)).is_empty
            if max(item.least, item.most or 0) < 200
            else False
        )
    if isinstance(item, Object):
        return item.most is not None and len(item.required) > item.most
    return False


def _is_empty_number(number: Number) -> bool:
    low, high = number.low, number.high
    if low is None or high is None:
        return False
    if number.is_integer:
        return first_integer(low) > last_integer(high)
    return low.value > high.value or (low.value == high.value and (low.is_open or high.is_open))


def first_integer(low: Limit) -> int:
    return math.floor(low.value) + 1 if low.is_open else math.ceil(low.value)


def last_integer(high: Limit) -> int:
    return math.ceil(high.value) - 1 if high.is_open else math.floor(high.value)


def is_empty(item: Alternative, form_of: FormOf, depth: int = 2) -> bool:
    """Whether it provably has no member; looks `depth` properties and items deep."""
    if is_clearly_empty(item):
        return True
    if depth == 0:
        return False
    inner: list[Places] = []
    if isinstance(item, Object):
        inner = [item.value(name) for name in item.required]
    elif isinstance(item, Array):
        inner = [item.item(index) for index in range(min(item.least, item.prefix_length + 1))]
    return any(
        all(is_empty(alternative, form_of, depth - 1) for alternative in form_of(places)) for places in inner
    )


def are_disjoint(left: Form, right: Form, form_of: FormOf) -> bool:
    return all(
        _are_told_apart(a, b, form_of)
        or all(is_empty(item, form_of) for item in intersect((a,), (b,), form_of))
        for a in left
        for b in right
        if kind_of(a) is kind_of(b)
    )


def _are_told_apart(left: Alternative, right: Alternative, form_of: FormOf) -> bool:
    """Whether a required property has other listed values in each; the quick way for many branches."""
    if not isinstance(left, Object) or not isinstance(right, Object):
        return False
    for name in left.required:
        if name in right.required:
            values = [set(form_of(item.value(name))) for item in (left, right)]
            are_listed = all(isinstance(one, Literal) for one in values[0] | values[1])
            if are_listed and values[0].isdisjoint(values[1]):
                return True
    return False


def accepts(item: Alternative, value: Any, form_of: FormOf) -> bool:
    """Whether a JSON value is a member."""
    if isinstance(item, Literal):
        return item == literal(value)
    if isinstance(item, Number):
        return isinstance(value, (int, float)) and not isinstance(value, bool) and _in_number(item, value)
    if isinstance(item, Text):
        return isinstance(value, str) and _in_text(item, value)
    if isinstance(item, Array):
        return isinstance(value, list) and _in_array(item, value, form_of)
    return isinstance(value, dict) and _in_object(item, value, form_of)


def _allows(places: Places, value: Any, form_of: FormOf) -> bool:
    return not places or any(accepts(item, value, form_of) for item in form_of(places))


def _in_number(item: Number, value: float) -> bool:
    exact = Fraction(str(value)) if isinstance(value, float) else Fraction(value)
    if item.is_integer is not None and item.is_integer != (exact.denominator == 1):
        return False
    if item.low is not None and not item.low.allows_above(exact):
        return False
    if item.high is not None and not item.high.allows_below(exact):
        return False
    return all((exact / step).denominator == 1 for step in item.steps)


def _in_text(item: Text, value: str) -> bool:
    return all(found is None or found.accepts(value) for found in (item.automaton, item.format)) and _counts(
        item, len(value)
    )


def _counts(item: Text | Array | Object, count: int) -> bool:
    return item.least <= count and (item.most is None or count <= item.most)


def _in_array(item: Array, value: list[Any], form_of: FormOf) -> bool:
    if not _counts(item, len(value)):
        return False
    if item.unique and len({literal(one) for one in value}) < len(value):
        return False
    for contains in item.contains:
        count = sum(_allows(contains.item, one, form_of) for one in value)
        if count < contains.least or (contains.most is not None and count > contains.most):
            return False
    return all(_allows(item.item(index), one, form_of) for index, one in enumerate(value))


def _in_object(item: Object, value: dict[str, Any], form_of: FormOf) -> bool:
    return (
        _counts(item, len(value))
        and all(name in value for name in item.required)
        and all(_allows(item.names, name, form_of) for name in value)
        and all(_allows(item.value(name), one, form_of) for name, one in value.items())
    )
