"""Alternatives of one place of a schema, each of one JSON type.

A schema inside another one is not looked into before it is needed: a property or an item
holds the places (JSON pointers) of all schemas that speak of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .automaton import Automaton
from .numbers import Limit


class Place(NamedTuple):
    pointer: str
    is_meant: bool  # False: what the schema there does not allow


Places = frozenset[Place]  # all of them apply at once
ANYTHING: Places = frozenset()
NOTHING: Places = frozenset({Place("false", True)})  # no pointer: those are empty or begin with "/"


@dataclass(frozen=True)
class Literal:
    """One value, as canonical JSON text: null, true, false, enum, const."""

    text: str

    @property
    def value(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Number:
    is_integer: bool | None = None  # False: only with a fraction
    low: Limit | None = None
    high: Limit | None = None
    steps: frozenset[Any] = frozenset()  # of Fraction: multiples of each
    pointer: str = field(default="", compare=False)


@dataclass(frozen=True)
class Text:
    automaton: Automaton | None = None
    format: Automaton | None = None  # may allow fewer texts than the format: never taken as a proof
    least: int = 0
    most: int | None = None
    pointer: str = field(default="", compare=False)


class ArrayPart(NamedTuple):
    """What one schema says of items. None: nothing."""

    prefix: tuple[Places, ...] = ()
    rest: Places | None = None


class Contains(NamedTuple):
    item: Places
    least: int
    most: int | None
    pointer: str


@dataclass(frozen=True)
class Array:
    parts: tuple[ArrayPart, ...] = ()
    least: int = 0
    most: int | None = None
    contains: tuple[Contains, ...] = ()
    unique: str = ""  # pointer of uniqueItems
    is_negated: bool = False  # made from what a schema does not allow
    pointer: str = field(default="", compare=False)

    def item(self, index: int) -> Places:
        """What the item at `index` must satisfy."""
        found = ANYTHING
        for part in self.parts:
            found |= part.prefix[index] if index < len(part.prefix) else part.rest or ANYTHING
        return found

    @property
    def prefix_length(self) -> int:
        return max((len(part.prefix) for part in self.parts), default=0)


class ObjectPart(NamedTuple):
    """What one schema says of properties. others None: nothing of those it does not name."""

    properties: tuple[tuple[str, Places], ...] = ()
    patterns: tuple[tuple[Automaton, Places], ...] = ()
    others: Places | None = None

    def value(self, name: str) -> Places:
        found, is_named = ANYTHING, False
        for key, places in self.properties:
            if key == name:
                found, is_named = places, True
        for automaton, places in self.patterns:
            if automaton.accepts(name):
                found, is_named = found | places, True
        return found if is_named else self.others or ANYTHING


@dataclass(frozen=True)
class Object:
    parts: tuple[ObjectPart, ...] = ()
    required: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    names: Places = ANYTHING  # what each name must satisfy
    is_negated: bool = False  # made from what a schema does not allow
    pointer: str = field(default="", compare=False)

    def value(self, name: str) -> Places:
        """What the value of a property must satisfy."""
        return frozenset[Place]().union(*(part.value(name) for part in self.parts))

    @property
    def declared(self) -> tuple[str, ...]:
        """Names in the order of the schema; required ones that no schema describes come last."""
        named = (name for part in self.parts for name, _ in part.properties)
        return tuple(dict.fromkeys((*named, *self.required)))


Alternative = Literal | Number | Text | Array | Object
Form = tuple[Alternative, ...]

NULL, TRUE, FALSE = Literal("null"), Literal("true"), Literal("false")
EVERYTHING: Form = (NULL, FALSE, TRUE, Number(), Text(), Array(), Object())
OF_TYPE: dict[str, Form] = {
    "null": (NULL,),
    "boolean": (FALSE, TRUE),
    "number": (Number(),),
    "integer": (Number(is_integer=True),),
    "string": (Text(),),
    "array": (Array(),),
    "object": (Object(),),
}


def literal(value: Any) -> Literal:
    """1.0 is the number 1."""
    return Literal(json.dumps(_canonical(value), ensure_ascii=False, separators=(",", ":")))


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return value


def kind_of(alternative: Alternative) -> type:
    """The class of alternatives that it can have members in common with."""
    if isinstance(alternative, Literal):
        by_first = {'"': Text, "[": Array, "{": Object, "n": Literal, "t": Literal, "f": Literal}
        return by_first.get(alternative.text[0], Number)
    return type(alternative)


def both_numbers(left: Number, right: Number) -> Number | None:
    if left.is_integer is not None and right.is_integer is not None and left.is_integer != right.is_integer:
        return None
    lows = [limit for limit in (left.low, right.low) if limit is not None]
    highs = [limit for limit in (left.high, right.high) if limit is not None]
    return Number(
        left.is_integer if left.is_integer is not None else right.is_integer,
        max(lows, key=lambda limit: (limit.value, limit.is_open), default=None),
        min(highs, key=lambda limit: (limit.value, not limit.is_open), default=None),
        left.steps | right.steps,
        left.pointer or right.pointer,
    )


def smaller(left: int | None, right: int | None) -> int | None:
    return min((most for most in (left, right) if most is not None), default=None)


def both_arrays(left: Array, right: Array) -> Array:
    return Array(
        left.parts + tuple(part for part in right.parts if part not in left.parts),
        max(left.least, right.least),
        smaller(left.most, right.most),
        left.contains + tuple(item for item in right.contains if item not in left.contains),
        left.unique or right.unique,
        left.is_negated or right.is_negated,
        left.pointer or right.pointer,
    )


def both_objects(left: Object, right: Object) -> Object:
    return Object(
        left.parts + tuple(part for part in right.parts if part not in left.parts),
        tuple(dict.fromkeys(left.required + right.required)),
        max(left.least, right.least),
        smaller(left.most, right.most),
        left.names | right.names,
        left.is_negated or right.is_negated,
        left.pointer or right.pointer,
    )


def without_formats(form: Form) -> Form:
    """Formats may be annotations to others, and ours are narrower: proofs do without them."""
    return tuple(replace(item, format=None) if isinstance(item, Text) else item for item in form)
