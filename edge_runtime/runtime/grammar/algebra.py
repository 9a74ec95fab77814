"""Intersection, complement and emptiness of what schemas allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from .alternatives import (
    ANYTHING,
    EVERYTHING,
    NOTHING,
    Alternative,
    Array,
    ArrayPart,
    Form,
    Literal,
    Number,
    Object,
    ObjectPart,
    Place,
    Places,
    Text,
    both_arrays,
    both_numbers,
    both_objects,
    kind_of,
    literal,
    smaller,
)
from .automaton import Automaton, complement, intersection, of_length, of_words
from .bounds import MOST_ALTERNATIVES
from .numbers import Limit

FormOf = Callable[[Places], Form]


class CannotNegate(Exception):
    """The complement is none that we can write; the text says what of it."""


class TooManyAlternatives(Exception):
    """More than MOST_ALTERNATIVES."""


def distinct(alternatives: Iterable[Alternative]) -> Form:
    found = tuple(dict.fromkeys(alternatives))
    if len(found) > MOST_ALTERNATIVES:
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
    return both if both is not None and not _is_clearly_empty(both) else None


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


def _is_clearly_empty(item: Alternative) -> bool:
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


def is_empty(item: Alternative, form_of: FormOf, depth: int = 4) -> bool:
    """Whether it provably has no member; looks `depth` properties and items deep."""
    if _is_clearly_empty(item):
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
    return all(is_empty(item, form_of) for item in intersect(left, right, form_of))


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


def negated(form: Form, form_of: FormOf) -> Form:
    """Everything that is not in `form`. Raises CannotNegate."""
    words = frozenset(
        item.value for item in form if isinstance(item, Literal) and item.text.startswith('"')
    )
    found = EVERYTHING
    if words:
        found = _replaced(found, Text, (Text(complement(of_words(words))),))
    for item in form:
        if not (isinstance(item, Literal) and item.text.startswith('"')):
            found = intersect(found, _negated_one(item), form_of)
    return found


def _replaced(form: Form, kind: type, instead: Iterable[Alternative]) -> Form:
    return (*(item for item in form if kind_of(item) is not kind), *instead)


def _negated_one(item: Alternative) -> Form:
    if isinstance(item, Literal) and kind_of(item) is Literal:
        return tuple(other for other in EVERYTHING if other != item)
    if isinstance(item, Literal):
        if kind_of(item) is not Number:
            raise CannotNegate("a constant array or object")
        exact = Fraction(item.text)
        return _replaced(
            EVERYTHING, Number, (Number(high=Limit(exact, True)), Number(low=Limit(exact, True)))
        )
    if isinstance(item, Number):
        return _replaced(EVERYTHING, Number, _not_number(item))
    if isinstance(item, Text):
        return _replaced(EVERYTHING, Text, _not_text(item))
    if isinstance(item, Array):
        return _replaced(EVERYTHING, Array, _not_array(item))
    return _replaced(EVERYTHING, Object, _not_object(item))


def _not_number(item: Number) -> Iterable[Number]:
    if item.steps:
        raise CannotNegate("multipleOf")
    if item.is_integer is not None:
        yield Number(is_integer=not item.is_integer)
    if item.low is not None:
        yield Number(high=Limit(item.low.value, not item.low.is_open))
    if item.high is not None:
        yield Number(low=Limit(item.high.value, not item.high.is_open))


def _not_text(item: Text) -> Iterable[Text]:
    if item.format is not None:
        raise CannotNegate("format")
    if item.automaton is not None:
        yield Text(complement(item.automaton))
    if item.least:
        yield Text(most=item.least - 1)
    if item.most is not None:
        yield Text(least=item.most + 1)


def _not(place: Place) -> Places:
    return frozenset({Place(place.pointer, not place.is_meant)})


def _not_array(item: Array) -> Iterable[Array]:
    if item.unique:
        raise CannotNegate("uniqueItems")
    if item.least:
        yield Array(most=item.least - 1)
    if item.most is not None:
        yield Array(least=item.most + 1)
    for contains in item.contains:
        if (contains.least, contains.most) != (1, None):
            raise CannotNegate("minContains and maxContains")
        for place in contains.item:
            yield Array(parts=(ArrayPart((), _not(place)),))
    for part in item.parts:
        for index, places in enumerate(part.prefix):
            for place in places:
                prefix = (ANYTHING,) * index + (_not(place),)
                yield Array(parts=(ArrayPart(prefix, None),), least=index + 1)
        if part.rest == NOTHING:
            yield Array(least=len(part.prefix) + 1)
        elif part.rest:
            raise CannotNegate("items")


def _not_object(item: Object) -> Iterable[Object]:
    if item.names:
        raise CannotNegate("propertyNames")
    if item.least:
        yield Object(most=item.least - 1, is_negated=True)
    if item.most is not None:
        yield Object(least=item.most + 1, is_negated=True)
    for name in item.required:
        yield Object(parts=(ObjectPart(((name, NOTHING),)),), is_negated=True)
    for part in item.parts:
        if any(places for _, places in part.patterns) or part.others:
            raise CannotNegate("patternProperties and additionalProperties")
        for name, places in part.properties:
            for place in places:
                yield Object(
                    parts=(ObjectPart(((name, _not(place)),)),), required=(name,), is_negated=True
                )
