"""Schemas as pydantic 2, zod-to-json-schema and callers of function-calling APIs write them."""

from __future__ import annotations

from typing import Any

_DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "title": title}


_OPTIONAL_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Nickname"}
_COLOR = {"enum": ["red", "green", "blue"], "title": "Color", "type": "string"}
_CAT = {
    "properties": {
        "kind": {"const": "cat", "default": "cat", "title": "Kind", "type": "string"},
        "meow": {"title": "Meow", "type": "integer"},
    },
    "required": ["meow"],
    "title": "Cat",
    "type": "object",
}
_DOG = {
    "properties": {
        "kind": {"const": "dog", "default": "dog", "title": "Kind", "type": "string"},
        "bark": {"title": "Bark", "type": "number"},
    },
    "required": ["bark"],
    "title": "Dog",
    "type": "object",
}
_ANIMALS = {"Cat": _CAT, "Dog": _DOG}
_REFS = [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]

PYDANTIC: dict[str, dict[str, Any]] = {
    "flat model": _titled(
        "User",
        _object(["name", "age"], name=_text(title="Name"), age={"title": "Age", "type": "integer"}),
    ),
    "optional fields": _object([], name=_text(default="x"), nickname=_OPTIONAL_TEXT),
    "constrained fields": _object(
        ["age", "score", "name"],
        age={"type": "integer", "minimum": 0, "maximum": 150},
        score={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        name=_text(minLength=1, maxLength=40, pattern="^[A-Z][a-z]+$"),
    ),
    "enum": {**_object(["color"], color={"$ref": "#/$defs/Color"}), "$defs": {"Color": _COLOR}},
    "enum with a default, as pydantic wrote it before 2.8": {
        **_object([], color={"allOf": [{"$ref": "#/$defs/Color"}], "default": "red"}),
        "$defs": {"Color": _COLOR},
    },
    "enum with a default, as it writes it now": {
        **_object([], color={"$ref": "#/$defs/Color", "default": "red"}),
        "$defs": {"Color": _COLOR},
    },
    "nested models": {
        **_object(["pets"], pets={"items": {"$ref": "#/$defs/Cat"}, "title": "Pets", "type": "array"}),
        "$defs": _ANIMALS,
    },
    "union": {**_object(["pet"], pet={"anyOf": _REFS, "title": "Pet"}), "$defs": _ANIMALS},
    "discriminated union": {
        **_object(
            ["pet"],
            pet={
                "discriminator": {
                    "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"},
                    "propertyName": "kind",
                },
                "oneOf": _REFS,
                "title": "Pet",
            },
        ),
        "$defs": _ANIMALS,
    },
    "recursive model": {
        "$defs": {
            "Node": _object(
                ["value"],
                value={"type": "integer"},
                children={"default": [], "items": {"$ref": "#/$defs/Node"}, "type": "array"},
            )
        },
        "$ref": "#/$defs/Node",
    },
    "dict of numbers": _object(
        ["scores"], scores={"additionalProperties": {"type": "number"}, "type": "object"}
    ),
    "dict of models": {
        **_object(["pets"], pets={"additionalProperties": {"$ref": "#/$defs/Cat"}, "type": "object"}),
        "$defs": _ANIMALS,
    },
    "tuple": _object(
        ["point"],
        point={
            "maxItems": 2,
            "minItems": 2,
            "prefixItems": [{"type": "number"}, {"type": "string"}],
            "type": "array",
        },
    ),
    "set of an enum": {
        **_object(
            ["colors"], colors={"items": {"$ref": "#/$defs/Color"}, "type": "array", "uniqueItems": True}
        ),
        "$defs": {"Color": _COLOR},
    },
    "dates and identifiers": _object(
        ["day", "at", "id", "mail"],
        day=_text(format="date"),
        at=_text(format="date-time"),
        id=_text(format="uuid"),
        mail=_text(format="email"),
        site=_text(format="uri", minLength=1, maxLength=2083),
        took=_text(format="duration"),
        clock=_text(format="time"),
        host=_text(format="ipv4"),
    ),
    "literal of several types": _object(["x"], x={"enum": [1, "two", True, None]}),
    "any": _object(["x"], x={"title": "X"}),
    "forbidden extras": {**_object(["a"], a={"type": "boolean"}), "additionalProperties": False},
    "allowed extras": {**_object(["a"], a={"type": "boolean"}), "additionalProperties": True},
    "bytes and decimals": _object(
        ["raw", "price"],
        raw=_text(format="binary"),
        price={"anyOf": [{"type": "number"}, _text(pattern=r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$")]},
    ),
    "decimal without look-ahead": _object(["price"], price=_text(pattern=r"^[+-]?\d{1,9}(\.\d{1,2})?$")),
}
# The expression that pydantic writes for Decimal looks ahead: it is refused, by name.
REFUSED = {"bytes and decimals": "/properties/price/anyOf/1/pattern"}

FUNCTIONS: dict[str, dict[str, Any]] = {
    "weather": {
        **_object(
            ["location", "unit"],
            location=_text(description="The city and state, e.g. San Francisco, CA"),
            unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
        ),
        "additionalProperties": False,
    },
    "strict with nulls": {
        **_object(["query", "limit"], query=_text(), limit={"type": ["integer", "null"], "maximum": 100}),
        "additionalProperties": False,
    },
    "list of steps": _object(
        ["steps", "answer"],
        steps={"type": "array", "items": _object(["explanation"], explanation=_text()), "maxItems": 10},
        answer=_text(),
    ),
    "type list beside an enum": _object(
        ["unit"], unit={"type": ["string", "null"], "enum": ["c", "f", None]}
    ),
    "no parameters": {"type": "object", "properties": {}},
    "linked list": {
        **_object(["list"], list={"$ref": "#/$defs/node"}),
        "$defs": {
            "node": _object(
                ["value", "next"],
                value={"type": "number"},
                next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            )
        },
        "additionalProperties": False,
    },
}

ZOD: dict[str, dict[str, Any]] = {
    "definitions and a $ref": {
        "$ref": "#/definitions/Person",
        "definitions": {"Person": _object(["name"], name=_text(), email=_text(format="email"))},
        "$schema": _DRAFT_7,
    },
    "tuple with a rest": {
        "type": "array",
        "minItems": 2,
        "items": [{"type": "string"}, {"type": "number"}],
        "additionalItems": {"type": "boolean"},
        "$schema": _DRAFT_7,
    },
    "record": {
        "type": "object",
        "additionalProperties": {"type": "number"},
        "propertyNames": {"pattern": "^[a-z]{2}$"},
        "$schema": _DRAFT_7,
    },
    "record of an enum": {
        "type": "object",
        "additionalProperties": {"type": "boolean"},
        "propertyNames": {"enum": ["read", "write"]},
        "$schema": _DRAFT_7,
    },
    "discriminated union": {
        "anyOf": [
            {**_object(["t", "a"], t={"const": "a"}, a=_text()), "additionalProperties": False},
            {**_object(["t", "b"], t={"const": "b"}, b={"type": "number"}), "additionalProperties": False},
        ],
        "$schema": _DRAFT_7,
    },
    "intersection": {
        "allOf": [_object(["a"], a=_text()), _object(["b"], b={"type": "integer", "multipleOf": 5})],
        "$schema": _DRAFT_7,
    },
    "numbers": _object(
        ["port", "rate"],
        port={"type": "integer", "exclusiveMinimum": 0, "maximum": 65535},
        rate={"type": "number", "multipleOf": 0.01, "minimum": 0},
    ),
}

SCHEMAS_IN_USE = {
    **{f"pydantic: {name}": schema for name, schema in PYDANTIC.items() if name not in REFUSED},
    **{f"function: {name}": schema for name, schema in FUNCTIONS.items()},
    **{f"zod: {name}": schema for name, schema in ZOD.items()},
}
