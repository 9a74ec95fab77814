"""The table of keywords: complete, the same in code and documentation, and true."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema_specifications import REGISTRY
from support.places import ROOT

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from edge_runtime.runtime.grammar.keywords import ANNOTATION, KEPT, KEYWORDS, PARTLY, REFUSED

_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
_BASE = "https://json-schema.org/draft/2020-12/"
_VOCABULARIES = (
    *("core", "applicator", "unevaluated", "validation", "meta-data", "content"),
    *("format-annotation", "format-assertion"),
)


def metaschema_keywords() -> set[str]:
    uris = ["http://json-schema.org/draft-07/schema#", f"{_BASE}schema"]
    uris += [f"{_BASE}meta/{name}" for name in _VOCABULARIES]
    found: set[str] = set()
    for uri in uris:
        found |= set(REGISTRY.contents(uri)["properties"])
    return found


def test_every_keyword_of_both_drafts_is_in_the_table() -> None:
    keywords = metaschema_keywords()
    assert len(keywords) > 55
    assert keywords - set(KEYWORDS) == set()


def test_the_documentation_says_the_same() -> None:
    text = (ROOT / "docs" / "structured-output.md").read_text(encoding="utf-8")
    assert dict(_ROW.findall(text)) == KEYWORDS


# A schema that a kept keyword changes, with and without it. (Structure such as $defs is tried elsewhere.)
CHANGED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "type": ({}, {"type": "null"}),
    "enum": ({}, {"enum": [1]}),
    "const": ({}, {"const": 1}),
    "allOf": ({}, {"allOf": [{"type": "null"}]}),
    "anyOf": ({}, {"anyOf": [{"type": "null"}]}),
    "oneOf": ({}, {"oneOf": [{"type": "null"}]}),
    "not": ({}, {"not": {"type": "null"}}),
    "minimum": ({"type": "integer"}, {"minimum": 1}),
    "maximum": ({"type": "integer"}, {"maximum": 1}),
    "exclusiveMinimum": ({"type": "integer"}, {"exclusiveMinimum": 1}),
    "exclusiveMaximum": ({"type": "integer"}, {"exclusiveMaximum": 1}),
    "multipleOf": ({"type": "integer"}, {"multipleOf": 5}),
    "minLength": ({"type": "string"}, {"minLength": 1}),
    "maxLength": ({"type": "string"}, {"maxLength": 1}),
    "pattern": ({"type": "string"}, {"pattern": "a"}),
    "format": ({"type": "string"}, {"format": "date"}),
    "items": ({"type": "array"}, {"items": {"type": "null"}}),
    "prefixItems": ({"type": "array"}, {"prefixItems": [{"type": "null"}]}),
    "additionalItems": ({"type": "array", "items": [{}]}, {"additionalItems": False}),
    "minItems": ({"type": "array"}, {"minItems": 1}),
    "maxItems": ({"type": "array"}, {"maxItems": 1}),
    "uniqueItems": ({"type": "array", "items": {"enum": [1, 2]}}, {"uniqueItems": True}),
    "contains": ({"type": "array"}, {"contains": {"const": 1}}),
    "minContains": ({"type": "array", "contains": {"const": 1}}, {"minContains": 2}),
    "maxContains": ({"type": "array", "contains": {"const": 1}}, {"maxContains": 2}),
    "unevaluatedItems": ({"type": "array", "prefixItems": [{}]}, {"unevaluatedItems": False}),
    "properties": ({"type": "object"}, {"properties": {"a": {}}}),
    "patternProperties": ({"type": "object"}, {"patternProperties": {"a": {"type": "null"}}}),
    "additionalProperties": ({"type": "object"}, {"additionalProperties": {"type": "null"}}),
    "propertyNames": ({"type": "object"}, {"propertyNames": {"maxLength": 1}}),
    "required": ({"type": "object"}, {"required": ["a"]}),
    "minProperties": ({"type": "object"}, {"minProperties": 1}),
    "maxProperties": ({"type": "object"}, {"maxProperties": 1}),
    "dependentRequired": ({"type": "object"}, {"dependentRequired": {"a": ["b"]}}),
    "dependentSchemas": ({"type": "object"}, {"dependentSchemas": {"a": {"required": ["b"]}}}),
    "dependencies": ({"type": "object"}, {"dependencies": {"a": ["b"]}}),
    "unevaluatedProperties": ({"type": "object"}, {"unevaluatedProperties": {"type": "null"}}),
    "if": ({"type": "integer", "then": {"const": 1}}, {"if": {"minimum": 0}}),
    "then": ({"type": "integer", "if": {"minimum": 0}}, {"then": {"const": 1}}),
    "else": ({"type": "integer", "if": {"minimum": 0}}, {"else": {"const": -1}}),
}
STRUCTURE = {"$id", "$anchor", "$ref", "$defs", "definitions"}


def test_every_kept_keyword_is_tried() -> None:
    assert {name for name, kind in KEYWORDS.items() if kind in (KEPT, PARTLY)} == set(CHANGED) | STRUCTURE


@pytest.mark.parametrize("keyword", CHANGED)
def test_a_kept_keyword_changes_the_grammar(keyword: str) -> None:
    without, with_it = CHANGED[keyword]
    assert grammar_of_schema(without) != grammar_of_schema({**without, **with_it})


@pytest.mark.parametrize("keyword", [name for name, kind in KEYWORDS.items() if kind == ANNOTATION])
def test_an_annotation_changes_nothing(keyword: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "null", keyword: "x"}}}
    assert grammar_of_schema(schema) == grammar_of_schema(
        {"type": "object", "properties": {"a": {"type": "null"}}}
    )


@pytest.mark.parametrize("keyword", [name for name, kind in KEYWORDS.items() if kind == REFUSED])
def test_a_refused_keyword_is_refused(keyword: str) -> None:
    with pytest.raises(OptionInvalid, match=re.escape(f"/properties/a/{keyword}: ")):
        grammar_of_schema({"properties": {"a": {keyword: "#"}}})
