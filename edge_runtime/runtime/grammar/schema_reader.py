"""Keywords of one schema, read and checked by type; none that leads to other schemas.
at the same place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from .alternatives import (
    ANYTHING,
    EVERYTHING,
    OF_TYPE,
    Alternative,
    Array,
    ArrayPart,
    Contains,
    Form,
    Number,
    Object,
    ObjectPart,
    Place,
    Places,
    Text,
)
from .automaton import Automaton, TooManyStates
from .bounds import MOST_COUNT, MOST_STATES, refuse, shown
from .document import escape
from .formats import EXPRESSIONS, REFUSED
from .keywords import KEYWORDS, likely_meant
from .keywords import REFUSED as REFUSED_KEYWORD
from .numbers import Limit
from .regex import of_pattern, of_whole
from .regex_reader import RegexRefused

Schema = Mapping[str, Any]


def check_words(schema: Schema, pointer: str) -> None:
    """Raises OptionInvalid for a keyword that is not kept, and for what looks like one misspelled."""
    for word in schema:
        if word not in KEYWORDS:
            meant = likely_meant(word)
            if meant is not None:
                raise refuse(
                    f"{pointer}/{escape(word)}",
                    f"there is no such keyword; {meant} was probably meant",
                    f"correct it, or call it x-{word} if it is a note of your own",
                )
        elif KEYWORDS[word] == REFUSED_KEYWORD:
            raise refuse(f"{pointer}/{escape(word)}", "references of this kind cannot be kept", "use $ref")


def types_of(schema: Schema, pointer: str) -> tuple[str, ...] | None:
    """None: it does not say."""
    given = schema.get("type")
    if given is None and "type" not in schema:
        return None
    names = given if isinstance(given, list) else [given]
    for name in names:
        if not isinstance(name, str) or name not in OF_TYPE:
            raise refuse(
                f"{pointer}/type", f"{shown(repr(name))} is no type", f"the types are {', '.join(OF_TYPE)}"
            )
    return tuple(names)


def own_form(schema: Schema, pointer: str) -> Form:
    """Everything of the types it names that its own keywords allow."""
    types = types_of(schema, pointer)
    plain = EVERYTHING if types is None else tuple(dict.fromkeys(x for name in types for x in OF_TYPE[name]))
    return tuple(
        _read(item, schema, pointer)
        for item in plain
        if not (isinstance(item, Number) and item.is_integer and types and "number" in types)
    )


def _read(item: Alternative, schema: Schema, pointer: str) -> Alternative:
    """What the keywords leave of a type."""
    if isinstance(item, Number):
        return replace(read_number(schema, pointer), is_integer=item.is_integer)
    if isinstance(item, Text):
        return read_text(schema, pointer)
    if isinstance(item, Array):
        return read_array(schema, pointer)
    return read_object(schema, pointer) if isinstance(item, Object) else item


def _count(schema: Schema, keyword: str, pointer: str) -> int | None:
    value = schema.get(keyword)
    if value is None and keyword not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or value != int(value):
        raise refuse(f"{pointer}/{keyword}", f"{shown(repr(value))} is no whole number from 0 on")
    if value > MOST_COUNT:
        raise refuse(f"{pointer}/{keyword}", f"{value} is more than {MOST_COUNT}", "give a smaller number")
    return int(value)


def _number(schema: Schema, keyword: str, pointer: str) -> Fraction | None:
    value = schema.get(keyword)
    if value is None and keyword not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refuse(f"{pointer}/{keyword}", f"{shown(repr(value))} is no number")
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


def read_number(schema: Schema, pointer: str) -> Number:
    lows: list[Limit] = []
    highs: list[Limit] = []
    for keyword, limits, is_open in (
        ("minimum", lows, False),
        ("exclusiveMinimum", lows, True),
        ("maximum", highs, False),
        ("exclusiveMaximum", highs, True),
    ):
        value = _number(schema, keyword, pointer)
        if value is not None:
            limits.append(Limit(value, is_open))
    step = _number(schema, "multipleOf", pointer)
    if step is not None and step <= 0:
        raise refuse(f"{pointer}/multipleOf", f"{schema['multipleOf']} is not above 0")
    return Number(
        None,
        max(lows, key=lambda limit: (limit.value, limit.is_open), default=None),
        min(highs, key=lambda limit: (limit.value, not limit.is_open), default=None),
        frozenset() if step is None else frozenset({step}),
        pointer,
    )


def pattern_automaton(text: object, pointer: str) -> Automaton:
    if not isinstance(text, str):
        raise refuse(pointer, f"{shown(repr(text))} is no text")
    try:
        return of_pattern(text)
    except RegexRefused as error:
        raise refuse(
            pointer,
            f"{shown(repr(text))}: {error}",
            "write the expression with classes, groups and quantifiers",
        ) from None
    except TooManyStates:
        raise refuse(
            pointer, f"{shown(repr(text))} needs more than {MOST_STATES} states", "give smaller repetitions"
        ) from None


def read_text(schema: Schema, pointer: str) -> Text:
    automaton = None
    if "pattern" in schema:
        automaton = pattern_automaton(schema["pattern"], f"{pointer}/pattern")
    return Text(
        automaton,
        _format(schema, pointer),
        _count(schema, "minLength", pointer) or 0,
        _count(schema, "maxLength", pointer),
        pointer,
    )


def _format(schema: Schema, pointer: str) -> Automaton | None:
    name = schema.get("format")
    if name in REFUSED:
        raise refuse(f"{pointer}/format", f"{name!r} cannot be kept", "leave it out, or use pattern")
    return of_whole(EXPRESSIONS[name]) if isinstance(name, str) and name in EXPRESSIONS else None


def _inner(schema: Schema, keyword: str, pointer: str) -> Places | None:
    """The schema under a keyword; None: there is none."""
    if keyword not in schema:
        return None
    return _place(schema[keyword], f"{pointer}/{keyword}")


def _place(schema: object, pointer: str) -> Places:
    if schema is True:
        return ANYTHING
    if not isinstance(schema, (dict, bool)):
        raise refuse(pointer, "a schema is an object, true or false")
    return frozenset({Place(pointer, True)})


def read_array(schema: Schema, pointer: str) -> Array:
    listed = "prefixItems" if "prefixItems" in schema else "items"
    prefix: tuple[Places, ...] = ()
    if isinstance(schema.get(listed), list):
        rest = _inner(schema, "items" if listed == "prefixItems" else "additionalItems", pointer)
        prefix = tuple(_place(item, f"{pointer}/{listed}/{i}") for i, item in enumerate(schema[listed]))
    else:
        rest = _inner(schema, "items", pointer)
    unique = schema.get("uniqueItems", False)
    if not isinstance(unique, bool):
        raise refuse(f"{pointer}/uniqueItems", f"{unique!r} is neither true nor false")
    return Array(
        (ArrayPart(prefix, rest),) if prefix or rest is not None else (),
        _count(schema, "minItems", pointer) or 0,
        _count(schema, "maxItems", pointer),
        _contains(schema, pointer),
        f"{pointer}/uniqueItems" if unique else "",
        pointer=pointer,
    )


def _contains(schema: Schema, pointer: str) -> tuple[Contains, ...]:
    item = _inner(schema, "contains", pointer)
    if item is None:
        return ()
    least = _count(schema, "minContains", pointer)
    most = _count(schema, "maxContains", pointer)
    least = 1 if least is None else least
    return (Contains(item, least, most, f"{pointer}/contains"),) if least or most is not None else ()


def read_object(schema: Schema, pointer: str) -> Object:
    part = ObjectPart(
        tuple(_named(schema, "properties", pointer)),
        tuple(
            (pattern_automaton(name, f"{pointer}/patternProperties/{escape(name)}"), places)
            for name, places in _named(schema, "patternProperties", pointer)
        ),
        _inner(schema, "additionalProperties", pointer),
    )
    required = schema.get("required", [])
    if isinstance(required, bool):
        raise refuse(f"{pointer}/required", "it must list names", 'as in "required": ["name"]')
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise refuse(f"{pointer}/required", "it must list names")
    return Object(
        (part,) if part != ObjectPart() else (),
        tuple(dict.fromkeys(required)),
        _count(schema, "minProperties", pointer) or 0,
        _count(schema, "maxProperties", pointer),
        _inner(schema, "propertyNames", pointer) or ANYTHING,
        pointer=pointer,
    )


def _named(schema: Schema, keyword: str, pointer: str) -> Iterator[tuple[str, Places]]:
    given = schema.get(keyword, {})
    if not isinstance(given, dict):
        raise refuse(f"{pointer}/{keyword}", "it must be an object")
    for name, inner in given.items():
        yield name, _place(inner, f"{pointer}/{keyword}/{escape(name)}")
