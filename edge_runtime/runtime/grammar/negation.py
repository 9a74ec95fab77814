"""Complement of what schemas allow."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from .algebra import FormOf, intersect
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
    kind_of,
)
from .automaton import complement, of_words
from .numbers import Limit


class CannotNegate(Exception):
    """The complement is none that we can write; the text says what of it."""


def negated(form: Form, form_of: FormOf) -> Form:
    """Everything that is not in `form`. Raises CannotNegate."""
    words = frozenset(item.value for item in form if isinstance(item, Literal) and item.text.startswith('"'))
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
            yield Array(parts=(ArrayPart((), _not(place)),), is_negated=True)
    for part in item.parts:
        yield from _not_items(part)


def _not_items(part: ArrayPart) -> Iterable[Array]:
    """Arrays with an item that the part does not allow."""
    for index, places in enumerate(part.prefix):
        for place in places:
            prefix = ((ANYTHING,) * index) + (_not(place),)
            yield Array(parts=(ArrayPart(prefix, None),), least=index + 1, is_negated=True)
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
                yield Object(parts=(ObjectPart(((name, _not(place)),)),), required=(name,), is_negated=True)
