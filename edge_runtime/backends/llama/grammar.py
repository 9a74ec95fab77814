"""JSON Schema to llama.cpp's grammar notation (GBNF), through the binding's own converter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import OptionInvalid
from .library import load_grammar_module

_MOST_SCHEMA_CHARACTERS = 100_000


def grammar_of_schema(schema: Mapping[str, Any]) -> str:
    """GBNF whose sentences are the JSON documents that `schema` describes.

    References stay inside the document: nothing is fetched.
    Raises OptionInvalid for a schema that is too large or that cannot be converted.
    """
    try:
        text = json.dumps(schema)
        if len(text) > _MOST_SCHEMA_CHARACTERS:
            raise ValueError(f"{len(text)} characters, at most {_MOST_SCHEMA_CHARACTERS}")
        return str(load_grammar_module().json_schema_to_gbnf(text))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        RecursionError,
        AssertionError,
    ) as error:
        raise OptionInvalid(
            f"schema: it cannot be turned into a grammar: {type(error).__name__} {error}",
            hint="use type, properties, required, items, enum, const, anyOf, and $ref into $defs",
            option="json_schema",
        ) from error
