"""Grammars of schemas, read from their text by an interpreter of its own."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from support.gbnf import Gbnf
from support.json_schema_suite import validator_for
from support.schemas_in_use import PYDANTIC, REFUSED, SCHEMAS_IN_USE

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from edge_runtime.runtime.grammar.gbnf_check import check_grammar

EMOJI = "\U0001f600"
OBJECT = {"type": "object"}

# schema, texts that it must allow, texts that it must not allow
CASES: dict[str, tuple[Any, list[str], list[str]]] = {
    "strings hold no raw control character": (
        {"type": "string"},
        ['""', r'"a\n\"\\\/b"', r'"\u0000"', r'"\ud83d\ude00"', f'"{EMOJI}"', '"\x7f"', r'"\uD7ff"'],
        ['"a\nb"', '"a\tb"', '"\x00"', '"', r'"\x"', r'"\ud83d"', r'"\ude00\ud83d"', '"a"b"', "a"],
    ),
    "length counts code points, however they are written": (
        {"type": "string", "minLength": 2, "maxLength": 2},
        ['"ab"', rf'"{EMOJI}\n"', r'"\ud83d\ude00a"', r'"\u00e9\\"'],
        ['"a"', '"abc"', r'"\ud83d\ude00"', '""'],
    ),
    "enum with everything that has to be escaped": (
        {"enum": ['a"b', "c\\d", "e\nf", EMOJI, "\u2028", "\x01", "]-^", 1.5, None, True, [1, {"a": EMOJI}]]},
        [
            *(r'"a\"b"', r'"c\\d"', r'"e\nf"', f'"{EMOJI}"', '"\u2028"', r'"\u0001"', '"]-^"', "1.5"),
            *("null", "true", f'[1,{{"a":"{EMOJI}"}}]'),
        ],
        ['"a"', "1", "false", '"c\\d"', '"e\nf"', "[1]"],
    ),
    "names that have to be escaped": (
        {"properties": {'a"\\\n': {"const": 1}, EMOJI: {"const": 2}}, "required": ['a"\\\n', EMOJI]},
        [rf'{{"a\"\\\n":1,"{EMOJI}":2}}', f'{{\n  "a\\"\\\\\\n": 1,\n  "{EMOJI}": 2\n}}'],
        ["{}", rf'{{"{EMOJI}":2,"a\"\\\n":1}}'],
    ),
    "integers between bounds": (
        {"type": "integer", "minimum": -12, "maximum": 105},
        ["-12", "-9", "0", "7", "99", "100", "105"],
        ["-13", "106", "-0", "007", "1.0", "1e1", "200", "-100"],
    ),
    "exclusive bounds and multiples": (
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 30, "multipleOf": 7},
        ["7", "14", "28"],
        ["0", "35", "8", "-7", "70"],
    ),
    "numbers between bounds": (
        {"type": "number", "minimum": -0.5, "exclusiveMaximum": 2},
        ["-0.5", "-0.25", "0", "0.0", "1.999", "1"],
        ["-0.51", "2", "2.0", "-1", "0.", ".5", "1e0"],
    ),
    "a type list beside an enum": (
        {"type": ["string", "null"], "enum": ["a", None, 3]},
        ['"a"', "null"],
        ["3", '"b"'],
    ),
    "allOf with a $ref": (
        {"allOf": [{"$ref": "#/$defs/C"}], "$defs": {"C": {"enum": ["red", "green"]}}},
        ['"red"', '"green"'],
        ['"blue"'],
    ),
    "siblings of a $ref": (
        {"$ref": "#/$defs/S", "maxLength": 2, "$defs": {"S": {"type": "string", "minLength": 1}}},
        ['"a"', '"ab"'],
        ['""', '"abc"', "1"],
    ),
    "definitions that are named like properties": (
        {
            "properties": {"Name": {"$ref": "#/$defs/Name"}, "root": {"$ref": "#/$defs/root"}},
            "required": ["Name", "root"],
            "$defs": {"Name": {"const": 1}, "root": {"const": 2}, "value": {}, "string": {}},
        },
        ['{"Name":1,"root":2}'],
        ['{"Name":2,"root":1}'],
    ),
    "a schema that contains itself": (
        {"properties": {"next": {"$ref": "#"}}, "type": "object", "additionalProperties": False},
        ["{}", '{"next":{"next":{}}}'],
        ['{"next":1}', '{"next":{"x":1}}'],
    ),
    "any subset of the optional properties, in their order": (
        {"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "required": ["b"]},
        ['{"b":2}', '{"a":1,"b":2}', '{"b":2,"c":3}', '{"a":1,"b":2,"c":3}'],
        ["{}", '{"a":1}', '{"b":2,"a":1}', '{"b":2,}', '{"b":2,"b":2}', '{"b":2,"d":1}'],
    ),
    "additional names are none of the declared ones": (
        {"properties": {"ab": {"const": 1}, "abc": {"const": 2}}, "additionalProperties": {"type": "null"}},
        ['{"ab":1,"x":null}', '{"a":null}', '{"abcd":null}', '{"":null}', '{"ab":1,"abc":2,"b":null}'],
        ['{"ab":null}', '{"abc":null}', '{"a":1}', '{"x":null,"ab":1}'],
    ),
    "additionalProperties beside patternProperties": (
        {"patternProperties": {"^n": {"type": "integer"}, "s$": {"const": 5}}, "additionalProperties": False},
        ['{"n":1}', '{"xs":5}', '{"ns":5}', "{}"],
        ['{"ns":1}', '{"x":1}', '{"n":"a"}'],
    ),
    "propertyNames": (
        {"propertyNames": {"pattern": "^[a-c]+$", "maxLength": 2}, "additionalProperties": {"const": 0}},
        ['{"ab":0}', '{"a":0,"b":0}', "{}"],
        ['{"abc":0}', '{"d":0}', '{"":0}'],
    ),
    "minProperties and maxProperties": (
        {
            "properties": {name: {"const": 0} for name in "abc"},
            "minProperties": 1,
            "maxProperties": 2,
            "additionalProperties": False,
        },
        ['{"a":0}', '{"b":0,"c":0}', '{"a":0,"c":0}'],
        ["{}", '{"a":0,"b":0,"c":0}'],
    ),
    "dependentRequired": (
        {"properties": {"a": {"const": 0}, "b": {"const": 0}}, "dependentRequired": {"a": ["b"]}},
        ["{}", '{"b":0}', '{"a":0,"b":0}'],
        ['{"a":0}'],
    ),
    "items of any kind": (
        {"type": "array", "items": {}, "maxItems": 2},
        ["[]", '[1,"a"]', '[{"a":[null]}]', "[\n  1,\n  2\n]"],
        ["[1,2,3]", "[1,]", "[,1]", "[1 ,2]"],
    ),
    "prefixItems": (
        {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 3}, "minItems": 1},
        ["[1]", "[1,2]", "[1,2,3,3]"],
        ["[]", "[2]", "[1,3]", "[1,2,2]"],
    ),
    "items as a list, as draft 7 had it": (
        {"type": "array", "items": [{"const": 1}], "additionalItems": False},
        ["[]", "[1]"],
        ["[1,1]", "[2]"],
    ),
    "contains with bounds": (
        {
            "type": "array",
            "items": {"enum": [1, 2]},
            "contains": {"const": 1},
            "minContains": 1,
            "maxContains": 2,
            "maxItems": 3,
        },
        ["[1]", "[2,1]", "[1,2,1]", "[1,1]"],
        ["[]", "[2,2]", "[1,1,1]", "[1,2,2,1]"],
    ),
    "uniqueItems of listed values": (
        {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2},
        ['["c","a"]', '["a","b","c"]'],
        ['["a","a"]', '["a"]', '["a","b","a"]'],
    ),
    "oneOf with branches that do not overlap": (
        {"oneOf": [{"type": "integer", "maximum": 0}, {"type": "integer", "minimum": 5}, {"type": "null"}]},
        ["0", "-3", "5", "null"],
        ["1", "4", '"x"'],
    ),
    "oneOf with branches that overlap": (
        {"type": "integer", "oneOf": [{"minimum": 0, "maximum": 9}, {"minimum": 5, "maximum": 20}]},
        ["0", "4", "10", "20"],
        ["5", "9", "21", "-1"],
    ),
    "not": (
        {"type": "string", "not": {"enum": ["a", "ab"]}},
        ['"b"', '""', '"abc"'],
        ['"a"', '"ab"', "1"],
    ),
    "if, then and else": (
        {
            "type": "object",
            "properties": {"kind": {"enum": ["x", "y"]}, "n": {"type": "integer"}},
            "required": ["kind"],
            "if": {"properties": {"kind": {"const": "x"}}},
            "then": {"required": ["n"]},
            "else": {"properties": {"n": {"const": 0}}},
        },
        ['{"kind":"x","n":7}', '{"kind":"y"}', '{"kind":"y","n":0}'],
        ['{"kind":"x"}', '{"kind":"y","n":1}'],
    ),
    "a pattern anywhere in the text": (
        {"type": "string", "pattern": "b+c"},
        ['"bc"', '"a\\nbbcx"'],
        ['"b"', '"c"', '""'],
    ),
    "a pattern with classes, groups and a length": (
        {"type": "string", "pattern": r"^(\d{2}|[A-F\-_]+)(x?\.)*$", "maxLength": 4},
        ['"12"', '"A-_"', '"12x."', '"F..."'],
        ['"1"', '"12x.."', '"G"', '"12x"'],
    ),
    "a pattern with Unicode escapes": (
        {"type": "string", "pattern": r"^[\u00e0-\u00ff\u{1F600}]\p{Lu}\s\S\w\W$"},
        ['"éÉ\u00a0xa!"', f'"{EMOJI}A €_é"'],
        ['"eA xa!"'],
    ),
    "a pattern for quotes and backslashes": (
        {"type": "string", "pattern": r'^["\\\n]+$'},
        [r'"\"\\\n"'],
        ['"a"', '""', '"\\"'],
    ),
    "formats": (
        {"type": "string", "format": "date"},
        ['"2024-02-29"', '"1999-12-31"'],
        ['"2023-02-29"', '"1900-02-29"', '"2024-13-01"', '"2024-1-1"'],
    ),
    "boolean schemas": ({"properties": {"a": True, "b": False}}, ["{}", '{"a":[]}'], ['{"b":1}']),
    "annotations change nothing": (
        {
            "type": "null",
            "title": "t",
            "description": "d",
            "default": 1,
            "$comment": "c",
            "deprecated": True,
            "readOnly": True,
            "examples": [2],
            "x-note": 3,
            "format": "my-own",
        },
        ["null"],
        ["1"],
    ),
    "anchors and embedded documents": (
        {
            "$id": "https://example.com/root",
            "properties": {"a": {"$ref": "#here"}, "b": {"$ref": "other"}},
            "required": ["a", "b"],
            "$defs": {
                "x": {"$anchor": "here", "const": 1},
                "y": {"$id": "other", "$ref": "#/$defs/z", "$defs": {"z": {"const": 2}}},
            },
        },
        ['{"a":1,"b":2}'],
        ['{"a":2,"b":1}'],
    ),
    "unevaluatedProperties sees what allOf lists": (
        {
            "allOf": [{"properties": {"a": {"const": 1}}}],
            "properties": {"b": {"const": 2}},
            "unevaluatedProperties": False,
            "type": "object",
        },
        ['{"b":2,"a":1}', "{}"],
        ['{"c":1}'],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_schema_allows(name: str) -> None:
    schema, allowed, others = CASES[name]
    text = grammar_of_schema(schema)
    check_grammar(text)
    grammar = Gbnf(text)
    assert [one for one in allowed if not grammar.matches(one)] == []
    assert [one for one in others if grammar.matches(one)] == []


@pytest.mark.parametrize("name", SCHEMAS_IN_USE)
def test_schemas_in_use_are_accepted_and_kept(name: str) -> None:
    schema = SCHEMAS_IN_USE[name]
    text = grammar_of_schema(schema)
    check_grammar(text)
    grammar, draw = Gbnf(text), random.Random(name)
    validator = validator_for(schema, "draft7" if "draft-07" in schema.get("$schema", "") else "")
    answers = [json.loads(grammar.sample(draw)) for _ in range(40)]
    assert [answer for answer in answers if not validator.is_valid(answer)] == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_in_use_that_cannot_be_kept_is_refused_by_place(name: str) -> None:
    with pytest.raises(OptionInvalid, match=REFUSED[name]):
        grammar_of_schema(PYDANTIC[name])


def test_blanks_are_bounded() -> None:
    grammar = Gbnf(grammar_of_schema({"type": "array", "items": {"const": 1}}))
    assert grammar.matches("[\n" + " " * 20 + "1, 1\n]")
    assert not grammar.matches("[\n" + " " * 21 + "1]")
    assert not any(map(grammar.matches, ["[  1]", "[\n\n1]", " [1]", "[1] ", "[1\n", "[1 , 1]"]))


@pytest.mark.parametrize(("least", "most"), [(0, 65536), (65536, None), (100, 100), (63, 200), (1, 129)])
def test_large_repetitions_are_exact(least: int, most: int | None) -> None:
    schema: dict[str, Any] = {"type": "string", "minLength": least}
    if most is not None:
        schema["maxLength"] = most
    text = grammar_of_schema(schema)
    assert len(text) < 2000
    counts = counts_of(Gbnf(text))
    assert counts == (least, most)


def counts_of(grammar: Gbnf) -> tuple[int, int | None]:
    """Least and most characters between the quotes; every count between must be possible too."""

    def bounds(node: Any) -> list[tuple[int, float, int]]:
        """(least, most, largest step between two possible counts)"""
        if node.kind == "rule":
            return [(1, 1, 0)] if node.value == "char" else bounds(grammar.rules[node.value])
        if node.kind == "choice":
            assert len(node.value) == 1
            return bounds(node.value[0])
        if node.kind == "sequence":
            return [found for part in node.value if part.kind != "text" for found in bounds(part)]
        part, least, most = node.value
        ((inner, inner_most, _),) = bounds(part)
        assert inner == inner_most
        endless = float("inf")
        return [(inner * least, endless if most is None else inner * most, inner)]

    found = bounds(grammar.rules["root"])
    for _, _, step in found:  # a coarser step is filled by the finer ones
        finer = sum(high - low for low, high, other in found if other < step and high > low)
        assert step <= 1 or finer >= step - 1 or all(low == high for low, high, s in found if s == step)
    most = sum(high for _, high, _ in found)
    return int(sum(low for low, _, _ in found)), None if most == float("inf") else int(most)


LARGE: dict[str, dict[str, Any]] = {
    "10,000 listed words": {"enum": [f"word number {number}" for number in range(10_000)]},
    "500 properties and others": {
        "properties": {f"property_{number}": {"type": "string"} for number in range(500)},
        "required": [f"property_{number}" for number in range(0, 500, 5)],
        "additionalProperties": {"type": "integer"},
    },
    "100 branches with a mark": {
        "oneOf": [
            {"properties": {"a": {}, "kind": {"const": number}}, "required": ["a", "kind"]}
            for number in range(100)
        ]
    },
    "a long pattern": {"type": "string", "pattern": "^(.|\n){1900}$"},
    "a pattern up to a length": {"type": "string", "pattern": "^[a-z]*$", "maxLength": 3000},
    "a tuple of 2,000": {"type": "array", "prefixItems": [{"type": "null"}] * 2000, "minItems": 1999},
    "150 different numbers": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 150},
        "uniqueItems": True,
    },
}


@pytest.mark.parametrize("name", LARGE)
def test_large_schemas_are_converted_within_seconds(name: str) -> None:
    started_s = time.process_time()
    text = grammar_of_schema(LARGE[name])
    assert time.process_time() - started_s < 5
    check_grammar(text)
    answer = Gbnf(text).sample(random.Random(1))
    assert validator_for(LARGE[name]).is_valid(json.loads(answer))


def test_usual_schemas_take_milliseconds() -> None:
    """Medians, since other programs may hold the processor."""
    wide = {
        f"field_{number}": {"type": ("string", "integer", "boolean")[number % 3]} for number in range(200)
    }
    assert median_s(SCHEMAS_IN_USE["pydantic: constrained fields"]) < 0.02
    assert median_s(SCHEMAS_IN_USE["function: weather"]) < 0.005
    assert median_s({"type": "object", "properties": wide, "required": list(wide)[::2]}) < 0.1


def median_s(schema: dict[str, Any]) -> float:
    grammar_of_schema(schema)
    times = []
    for _ in range(7):
        started_s = time.process_time()
        grammar_of_schema(schema)
        times.append(time.process_time() - started_s)
    return sorted(times)[3]
