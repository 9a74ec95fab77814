"""Schemas that are refused, each by the place and the reason."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from edge_runtime.runtime.grammar.keywords import likely_meant

TEXT = {"type": "string"}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


# schema, pointer, a part of the reason
CASES: dict[str, tuple[Any, str, str]] = {
    "misspelled": ({"type": "string", "maxlength": 3}, "/maxlength", "maxLength was probably meant"),
    "misspelled inside": ({"properties": {"a": {"requird": []}}}, "/properties/a/requird", "required"),
    "unknown type": ({"type": "text"}, "/type", "'text' is no type"),
    "external $ref": ({"$ref": "https://example.com/a.json"}, "/$ref", "is not in this document"),
    "$ref to nothing": ({"$ref": "#/$defs/A"}, "/$ref", "leads nowhere"),
    "$ref to itself": ({"$ref": "#"}, "the schema", "leads to itself"),
    "$dynamicRef": ({"$dynamicRef": "#a"}, "/$dynamicRef", "cannot be kept"),
    "draft 7, beside $ref": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/A",
            "maxLength": 1,
            "definitions": {"A": TEXT},
        },
        "/maxLength",
        "draft 7 ignores",
    ),
    "look-ahead": ({"pattern": "^(?=a)b"}, "/pattern", "look-ahead"),
    "back reference": ({"pattern": r"(a)\1"}, "/pattern", "back references"),
    "word boundary": ({"pattern": r"\bfoo"}, "/pattern", "word boundary"),
    "wrong pattern": ({"pattern": "(a"}, "/pattern", "a ( without )"),
    "large pattern": ({"pattern": "a.{30}b"}, "/pattern", "states"),
    "pattern with a large length": (
        {"type": "string", "pattern": "^[a-z]+$", "maxLength": 100_000},
        "the schema",
        "pattern with minLength and maxLength needs an automaton",
    ),
    "format regex": ({"type": "string", "format": "regex"}, "/format", "cannot be kept"),
    "uniqueItems of any text": (
        {"type": "array", "items": TEXT, "uniqueItems": True},
        "/uniqueItems",
        "listed",
    ),
    "minProperties of free names": ({"type": "object", "minProperties": 2}, "/minProperties", "differ"),
    "oneOf that overlaps": (
        {"oneOf": [{"type": "array", "items": TEXT}, {"type": "array", "items": {"maxLength": 2}}]},
        "/oneOf",
        "branches 0 and 1 may both apply",
    ),
    "not of a list": ({"not": {"type": "array", "items": TEXT}}, "/not", "what it does not allow"),
    "multipleOf of binary fractions": ({"type": "number", "multipleOf": 1e-20}, "the schema", "multipleOf"),
    "bounds beyond what is written": ({"type": "number", "minimum": 1e30}, "the schema", "16 digits"),
    "nothing satisfies it": ({"type": "integer", "minimum": 5, "maximum": 4}, "the schema", "no JSON value"),
    "no end": (
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        "the schema",
        "no JSON value",
    ),
    "false": (False, "the schema", "no JSON value"),
    "too deep": (nested(200), "the schema", "nested more than 100 deep"),
    "half a surrogate pair": ({"const": "\ud83d"}, "the schema", "half a surrogate pair"),
    "half a pair in a name": ({"properties": {"\udc00": {}}}, "the schema", "half a surrogate pair"),
    "no JSON": ({"const": {1, 2}}, "the schema", "set is no JSON value"),
    "no number": ({"const": float("nan")}, "the schema", "nan is no JSON number"),
    "negative length": ({"type": "string", "minLength": -1}, "/minLength", "whole number"),
    "enormous length": ({"type": "string", "maxLength": 10**12}, "/maxLength", "more than 16777216"),
    "no schema": ({"properties": {"a": 5}}, "/properties/a", "a schema is an object"),
    "too many alternatives": (
        {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(12)]},
        "/allOf",
        "alternatives",
    ),
    "branches that double at every level": (
        {
            "$defs": {
                "a": {"type": "array", "items": {"$ref": "#/$defs/x"}},
                "b": {"type": "array", "items": {"$ref": "#/$defs/x"}, "maxItems": 3},
                "x": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]},
            },
            "$ref": "#/$defs/x",
        },
        "the schema",
        "begin alike contain the whole again",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_kept_is_refused_by_place(name: str) -> None:
    schema, pointer, reason = CASES[name]
    with pytest.raises(OptionInvalid) as caught:
        grammar_of_schema(schema)
    message = str(caught.value)
    assert message.startswith(f"json_schema: {pointer}"), message
    assert reason in message
    assert caught.value.hint and caught.value.facts["option"] == "json_schema"


def test_a_schema_that_contains_itself_as_a_python_object_is_refused() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    with pytest.raises(OptionInvalid, match="nested more than 100 deep"):
        grammar_of_schema(schema)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("maxlength", "maxLength"),
        ("max_length", "maxLength"),
        ("additionalproperties", "additionalProperties"),
        ("patternProperty", "patternProperties"),
        ("anyof", "anyOf"),
        ("defs", "$defs"),
        ("maxLength", None),
        ("nullable", None),
        ("example", None),
        ("x-maxlength", None),
        ("discriminator", None),
        ("prompt", None),
    ],
)
def test_misspelled_keywords_are_recognized(word: str, meant: str | None) -> None:
    assert likely_meant(word) == meant
