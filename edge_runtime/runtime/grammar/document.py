"""One schema document: its size, its places by JSON pointer, and what its references lead to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from .bounds import MOST_SCHEMA_CHARACTERS, MOST_SCHEMA_DEPTH, MOST_SCHEMA_VALUES, refuse, shown
from .keywords import LIST_OF_SCHEMAS, MAP_OF_SCHEMAS, ONE_SCHEMA

_DRAFTS_WITHOUT_SIBLINGS = ("/draft-07/", "/draft-06/", "/draft-04/")


def escape(token: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


class Document:
    """Raises OptionInvalid for a document that is no JSON, or larger or deeper than the bounds."""

    def __init__(self, root: object) -> None:
        _check_values(root)
        self.root = root = _plain(root)
        about = root.get("$schema", "") if isinstance(root, dict) else ""
        self.has_ref_siblings = not any(draft in str(about) for draft in _DRAFTS_WITHOUT_SIBLINGS)
        self._bases: dict[str, str] = {}
        self._resources: dict[str, str] = {"": ""}
        self._anchors: dict[str, str] = {}
        self._index()

    def at(self, pointer: str) -> Any:
        """Raises KeyError where there is nothing."""
        found: Any = self.root
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict):
                found = found[name]
            else:
                raise KeyError(pointer)
        return found

    def resolve(self, place: str, reference: object) -> str:
        """The pointer that the `$ref` of the schema at `place` leads to."""
        where = f"{place}/$ref"
        if not isinstance(reference, str):
            raise refuse(where, "it must be text")
        resource, fragment = urldefrag(urljoin(self._base_of(place), reference))
        fragment = unquote(fragment)
        if f"{resource}#{fragment}" in self._anchors:
            return self._anchors[f"{resource}#{fragment}"]
        if resource not in self._resources or (fragment and not fragment.startswith("/")):
            raise refuse(
                where,
                f"{shown(repr(reference))} is not in this document",
                "references lead into the same document, as in #/$defs/Name: nothing is fetched",
            )
        target = self._resources[resource] + fragment
        try:
            self.at(target)
        except KeyError:
            raise refuse(where, f"{shown(repr(reference))} leads nowhere", "correct the reference") from None
        return target

    def _base_of(self, pointer: str) -> str:
        while pointer not in self._bases:
            pointer = pointer.rpartition("/")[0]
        return self._bases[pointer]

    def _index(self) -> None:
        todo = [("", self.root, "")]
        while todo:
            pointer, schema, base = todo.pop()
            if isinstance(schema, dict):
                base = self._note_names(pointer, schema, base)
                todo += [(f"{pointer}/{inner}", child, base) for inner, child in _children(schema)]
            self._bases[pointer] = base

    def _note_names(self, pointer: str, schema: Mapping[str, Any], base: str) -> str:
        name = schema.get("$id")
        if isinstance(name, str) and (self.has_ref_siblings or "$ref" not in schema):
            resource, fragment = urldefrag(urljoin(base, name))
            if fragment:  # draft 7 wrote an anchor so
                self._anchors.setdefault(f"{resource or base}#{fragment}", pointer)
            else:
                base = resource
                self._resources.setdefault(base, pointer)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(anchor := schema.get(keyword), str):
                self._anchors.setdefault(f"{base}#{anchor}", pointer)
        return base


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in ONE_SCHEMA:
        if isinstance(schema.get(keyword), dict):
            yield keyword, schema[keyword]
    for keyword in LIST_OF_SCHEMAS:
        if isinstance(schema.get(keyword), list):
            yield from ((f"{keyword}/{index}", item) for index, item in enumerate(schema[keyword]))
    for keyword in MAP_OF_SCHEMAS:
        if isinstance(schema.get(keyword), dict):
            yield from ((f"{keyword}/{escape(name)}", item) for name, item in schema[keyword].items())


def _check_values(root: object) -> None:
    """Iterative: a document that is too deep must not exhaust the stack here."""
    count = characters = 0
    todo: list[tuple[object, int]] = [(root, 0)]
    while todo:
        value, depth = todo.pop()
        count += 1
        if depth > MOST_SCHEMA_DEPTH:
            raise refuse("", f"nested more than {MOST_SCHEMA_DEPTH} deep", "simplify the schema")
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                raise refuse("", "names of an object must be text")
            todo += [(item, depth + 1) for item in (*value, *value.values())]
        elif isinstance(value, (list, tuple)):
            todo += [(item, depth + 1) for item in value]
        else:
            characters += _check_scalar(value)
        if count + len(todo) > MOST_SCHEMA_VALUES or characters > MOST_SCHEMA_CHARACTERS:
            raise refuse(
                "",
                f"larger than {MOST_SCHEMA_VALUES} values or {MOST_SCHEMA_CHARACTERS} characters",
                "simplify the schema",
            )


def _plain(value: Any) -> Any:
    """A copy of dicts and lists; its depth has been checked."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _check_scalar(value: object) -> int:
    """Characters of it."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise refuse("", f"{json.dumps(value)[:60]} has half a surrogate pair, which is no text")
        return len(value)
    if value is not None and not isinstance(value, (bool, int, float)):
        raise refuse("", f"{type(value).__name__} is no JSON value")
    if isinstance(value, float) and not -1e309 < value < 1e309:
        raise refuse("", f"{value} is no JSON number")
    if isinstance(value, int) and value.bit_length() > 4000:  # Python writes no longer ones out
        raise refuse("", "a number of more than 1000 digits", "give a smaller number")
    return 8
