"""The public test suite of JSON Schema: what is accepted is kept, and what is refused says why."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from support.gbnf import Gbnf
from support.json_schema_suite import DRAFTS, Case, SuiteUnreachable, required_cases, validator_for

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from edge_runtime.runtime.grammar.gbnf_check import check_grammar

_SAMPLES = 20
# Of the schemas that are not refused, by draft: a change that refuses more must say so here.
_LEAST_ACCEPTED = {"draft7": 222, "draft2020-12": 296}
_MOST_ORDERS = 24
# Valid, and left out on purpose: formats are kept, though the standard lets them be annotations; a branch
# of anyOf allows only the names that it lists; what has no type is of the type its keywords speak of.
_LEFT_OUT = {
    ("anyOf: anyOf complex types", "both anyOf valid (complex)"),
    ("ref: root pointer ref", "match"),
    ("ref: root pointer ref", "recursive match"),
    (
        "unevaluatedItems: unevaluatedItems can see annotations from if without then and else",
        "valid in case if is evaluated",
    ),
    (
        "unevaluatedProperties: unevaluatedProperties can see annotations from if without then and else",
        "valid in case if is evaluated",
    ),
    (
        "unevaluatedProperties: unevaluatedProperties with anyOf",
        "when two match and has no unevaluated properties",
    ),
    (
        "vocabulary: schema that uses custom metaschema with with no validation vocabulary",
        "no validation: invalid number, but it still validates",
    ),
}
_NUMBER = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_ARRAY = {"items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"}
_OBJECT = {"properties", "patternProperties", "additionalProperties", "propertyNames", "required"}
_OBJECT |= {"minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies"}
_ABOUT: dict[type, set[str]] = {
    int: _NUMBER,
    float: _NUMBER,
    str: {"minLength", "maxLength", "pattern", "format"},
    list: _ARRAY | {"unevaluatedItems"},
    dict: _OBJECT | {"unevaluatedProperties"},
    bool: set(),
    type(None): set(),
}


@pytest.fixture(scope="module", params=sorted(DRAFTS))
def cases(request: pytest.FixtureRequest) -> list[Case]:
    try:
        return list(required_cases(request.param))
    except SuiteUnreachable as error:
        pytest.skip(f"the package index cannot be reached, and it has the suite: {error}")


@pytest.fixture(scope="module")
def accepted(cases: list[Case]) -> list[tuple[Case, Gbnf]]:
    found = []
    for case in cases:
        try:
            text = grammar_of_schema(case.schema)
        except OptionInvalid as error:
            assert error.facts["option"] == "json_schema" and str(error).startswith("json_schema: ")
            continue
        check_grammar(text)
        found.append((case, Gbnf(text)))
    return found


def test_most_schemas_are_accepted(cases: list[Case], accepted: list[tuple[Case, Gbnf]]) -> None:
    assert len(accepted) >= _LEAST_ACCEPTED[cases[0].draft]


def test_random_answers_are_valid(accepted: list[tuple[Case, Gbnf]]) -> None:
    wrong = []
    for case, grammar in accepted:
        validator = validator_for(case.schema, case.draft)
        draw = random.Random(case.name)
        for _ in range(_SAMPLES):
            text = grammar.sample(draw)
            if not validator.is_valid(json.loads(text)):
                wrong.append((case.name, text))
    assert wrong == []


def test_no_invalid_instance_is_allowed(accepted: list[tuple[Case, Gbnf]]) -> None:
    wrong = [
        (case.name, test["description"])
        for case, grammar in accepted
        for test in case.tests
        if not test["valid"] and any(map(grammar.matches, written(test["data"])))
    ]
    assert wrong == []


def test_valid_instances_are_allowed_but_for_what_the_documentation_names(
    accepted: list[tuple[Case, Gbnf]],
) -> None:
    missing = [
        (case.name, test["description"])
        for case, grammar in accepted
        for test in case.tests
        if test["valid"]
        and not any(map(grammar.matches, written(test["data"])))
        and not is_left_out(case.schema, test["data"])
        and (case.name.partition("/")[2], test["description"]) not in _LEFT_OUT
        and "only an annotation by default" not in test["description"]
    ]
    assert missing == []


def written(value: Any) -> list[str]:
    """As JSON texts, with the names of the outermost object in each order, as long as they are few."""
    values = [value]
    if isinstance(value, dict) and 1 < len(value) <= 4:
        orders = itertools.islice(itertools.permutations(value.items()), _MOST_ORDERS)
        values = [dict(order) for order in orders]
    return [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in values]


def is_left_out(schema: Any, value: Any) -> bool:
    """Whether the documentation says that such a valid value is not generated."""
    if has_whole_float(value):  # 1.0 is written 1
        return True
    words = set(keywords_in_place(schema, schema))
    if "type" not in words and not words & _ABOUT[type(value)] and words & set().union(*_ABOUT.values()):
        return True  # of another type than the keywords speak of
    names = (
        {name for name in value if f'"{name}":' not in json.dumps(schema)} if isinstance(value, dict) else ()
    )
    return bool(names)  # objects have no names that nobody spoke of


def keywords_in_place(schema: Any, root: Any) -> list[str]:
    """Those that speak of the value itself, also through allOf, anyOf, oneOf and $ref into $defs."""
    if not isinstance(schema, dict):
        return []
    found = list(schema)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(keyword, []):
            found += keywords_in_place(inner, root)
    for keyword in ("then", "else"):
        found += keywords_in_place(schema.get(keyword), root)
    for part in ("$defs", "definitions") if "$ref" in schema else ():
        for inner in root.get(part, {}).values():
            found += keywords_in_place(inner, {})
    return found


def has_whole_float(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return any(map(has_whole_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value.is_integer()
