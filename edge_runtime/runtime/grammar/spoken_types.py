"""The types that a schema without `type` speaks of.

{"properties": ...} alone would allow 7 and "x" as well. Nobody means that: the answer is then
of a type that the keywords are about. What `not` and `if` say does not count.
"""

from __future__ import annotations

from collections.abc import Iterator

from .alternatives import ANYTHING, NULL, Array, Form, Literal, Number, Object, Places, Text, kind_of
from .document import Document

_ABOUT: dict[type, tuple[str, ...]] = {
    Number: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    Text: ("minLength", "maxLength", "pattern", "format"),
    Array: (
        *("items", "prefixItems", "additionalItems", "minItems", "maxItems"),
        *("uniqueItems", "contains", "unevaluatedItems"),
    ),
    Object: (
        *("properties", "patternProperties", "additionalProperties", "propertyNames", "required"),
        *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies"),
        "unevaluatedProperties",
    ),
}
_TYPE_OF = {keyword: kind for kind, keywords in _ABOUT.items() for keyword in keywords}


def narrowed(form: Form, places: Places, document: Document) -> Form:
    """Of a form with every type, the types that its schemas speak of, if there are any."""
    if places == ANYTHING or not _has_every_type(form):
        return form
    spoken: set[type] = set()
    seen: set[str] = set()
    todo = [place.pointer for place in places if place.is_meant]
    while todo:
        pointer = todo.pop()
        schema = document.at(pointer) if pointer not in seen else None
        seen.add(pointer)
        if isinstance(schema, dict):
            spoken |= {_TYPE_OF[word] for word in schema if word in _TYPE_OF}
            todo += _applied(schema, pointer, document)
    return tuple(item for item in form if kind_of(item) in spoken) or form


def _has_every_type(form: Form) -> bool:
    kinds = {kind_of(item) for item in form}
    return NULL in form and all(kind in kinds for kind in (Literal, Number, Text, Array, Object))


def _applied(schema: dict[str, object], pointer: str, document: Document) -> Iterator[str]:
    """Schemas that apply at the same place."""
    if "$ref" in schema:
        yield document.resolve(pointer, schema["$ref"])
    for keyword in ("allOf", "anyOf", "oneOf"):
        listed = schema.get(keyword)
        if isinstance(listed, list):
            yield from (f"{pointer}/{keyword}/{index}" for index in range(len(listed)))
    if "if" in schema:
        yield from (f"{pointer}/{keyword}" for keyword in ("then", "else") if keyword in schema)
