"""Bounds of schemas and grammars, and the refusals that name them."""

from __future__ import annotations

from ...errors import OptionInvalid

MOST_SCHEMA_VALUES = 50_000  # objects, arrays, strings, numbers ... of one schema
MOST_SCHEMA_CHARACTERS = 1 << 20
MOST_SCHEMA_DEPTH = 100  # nesting; json.loads and every validator recurse over it
MOST_IN_PLACE = 100  # allOf, $ref ... that lead to each other without an item or property in between
MOST_ALTERNATIVES = 600  # of one place in the schema, after anyOf, oneOf and dependents are multiplied out
MOST_LISTED = 10_000  # values of enum and const in one place
MOST_STATES = 4_000  # of one automaton: a pattern, a bounded number, names that are excluded
MOST_OBJECT_STATES = 20_000  # of one object: properties times counted properties
MOST_RULES = 40_000
MOST_GRAMMAR_BYTES = 1 << 20
MOST_NESTING = 100  # parentheses of a grammar: llama.cpp's parser recurses over them
MOST_LEFT_CHAIN = 1_000  # rules that begin with each other: llama.cpp recurses over them as well
MOST_LEFT_VISITS = 10_000_000  # and visits each path of them anew
MOST_REPETITIONS = 2_000  # llama.cpp's MAX_REPETITION_THRESHOLD: more it refuses, or counts as endless
MOST_ELEMENTS = 2_000_000  # of a grammar after repetitions are written out; 8 bytes each
MOST_FIRST_STACKS = 2_000  # places one rule can begin at: llama.cpp compares each with each
MOST_COUNT = 1 << 24  # minItems, maxLength ...: more than any context holds
MOST_PARSES = 1_000  # readings of one text that have to be followed at the same time
_MOST_SHOWN = 160


def shown(text: str) -> str:
    """As much of it as an error should repeat."""
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def refuse(pointer: str, reason: str, hint: str = "") -> OptionInvalid:
    """pointer: JSON pointer of the keyword or schema, as in "/properties/a/pattern"."""
    return OptionInvalid(
        f"json_schema: {shown(pointer) or 'the schema'}: {reason}",
        hint=hint or "docs/structured-output.md lists what is kept",
        option="json_schema",
        pointer=pointer,
    )


def grammar_refused(reason: str, hint: str = "") -> OptionInvalid:
    return OptionInvalid(
        f"grammar: {reason}",
        hint=hint or 'it must be GBNF with a rule named "root"',
        option="grammar",
    )
