"""Every keyword of JSON Schema drafts 7 and 2020-12, and what becomes of it."""

from __future__ import annotations

import difflib
from functools import lru_cache

KEPT = "kept"
PARTLY = "kept where it can be, else refused"
REFUSED = "refused"
ANNOTATION = "annotation"

KEYWORDS = {
    # Core
    "$schema": ANNOTATION,
    "$id": KEPT,
    "$anchor": KEPT,
    "$ref": KEPT,
    "$defs": KEPT,
    "definitions": KEPT,
    "$comment": ANNOTATION,
    "$vocabulary": ANNOTATION,
    "$dynamicAnchor": ANNOTATION,
    "$dynamicRef": REFUSED,
    "$recursiveAnchor": ANNOTATION,
    "$recursiveRef": REFUSED,
    # Any type
    "type": KEPT,
    "enum": KEPT,
    "const": KEPT,
    "allOf": KEPT,
    "anyOf": KEPT,
    "oneOf": PARTLY,
    "not": PARTLY,
    "if": PARTLY,
    "then": PARTLY,
    "else": PARTLY,
    # Numbers
    "minimum": PARTLY,
    "maximum": PARTLY,
    "exclusiveMinimum": PARTLY,
    "exclusiveMaximum": PARTLY,
    "multipleOf": PARTLY,
    # Strings
    "minLength": KEPT,
    "maxLength": KEPT,
    "pattern": PARTLY,
    "format": PARTLY,
    "contentEncoding": ANNOTATION,
    "contentMediaType": ANNOTATION,
    "contentSchema": ANNOTATION,
    # Arrays
    "items": KEPT,
    "prefixItems": KEPT,
    "additionalItems": KEPT,
    "minItems": KEPT,
    "maxItems": KEPT,
    "uniqueItems": PARTLY,
    "contains": PARTLY,
    "minContains": PARTLY,
    "maxContains": PARTLY,
    "unevaluatedItems": PARTLY,
    # Objects
    "properties": KEPT,
    "patternProperties": PARTLY,
    "additionalProperties": KEPT,
    "propertyNames": KEPT,
    "required": KEPT,
    "minProperties": PARTLY,
    "maxProperties": KEPT,
    "dependentRequired": KEPT,
    "dependentSchemas": KEPT,
    "dependencies": KEPT,
    "unevaluatedProperties": PARTLY,
    # Words about the schema
    "title": ANNOTATION,
    "description": ANNOTATION,
    "default": ANNOTATION,
    "deprecated": ANNOTATION,
    "readOnly": ANNOTATION,
    "writeOnly": ANNOTATION,
    "examples": ANNOTATION,
}

# Where schemas lie inside a schema.
ONE_SCHEMA = (
    *("not", "if", "then", "else", "items", "additionalItems", "contains", "unevaluatedItems"),
    *("additionalProperties", "propertyNames", "unevaluatedProperties", "contentSchema"),
)
LIST_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
MAP_OF_SCHEMAS = (
    *("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"),
)

# Words of other dialects that are near a keyword and no misspelling of it.
_OTHER_DIALECTS = ("example", "id", "nullable", "discriminator", "name", "labels", "formatMinimum")


@lru_cache(maxsize=256)
def likely_meant(word: str) -> str | None:
    """The keyword that an unknown word is probably a misspelling of."""
    if word in KEYWORDS or word in _OTHER_DIALECTS or word.startswith("x-"):
        return None
    folded = word.casefold().replace("_", "").replace("-", "").lstrip("$")
    same = [name for name in KEYWORDS if name.casefold().lstrip("$") == folded]
    return next(iter(same or difflib.get_close_matches(word, KEYWORDS, n=1, cutoff=0.86)), None)
