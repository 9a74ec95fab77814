"""Schemas to alternatives: allOf, anyOf, oneOf, not, if, $ref and dependents are resolved here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .algebra import TooManyAlternatives, are_disjoint, distinct, intersect, is_clearly_empty
from .alternatives import (
    ANYTHING,
    EVERYTHING,
    NOTHING,
    Array,
    ArrayPart,
    Form,
    Object,
    ObjectPart,
    Place,
    Places,
    literal,
    without_formats,
)
from .automaton import TooManyStates
from .bounds import MOST_ALTERNATIVES, MOST_IN_PLACE, MOST_STATES, refuse
from .document import Document, escape
from .keywords import ANNOTATION, KEYWORDS
from .negation import CannotNegate, negated
from .schema_reader import Schema, check_words, own_form

_BESIDE_REF = ("$ref", "$defs", "definitions", "$id", "$anchor")


class Normalizer:
    """The form of every place of a document, each worked out once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._forms: dict[Places, Form] = {ANYTHING: EVERYTHING, NOTHING: ()}
        self._of_place: dict[Place, Form] = {}
        self._open: list[Place] = []  # being worked out
        self._narrowed: set[str] = set()  # schemas of which we allow less than they do

    def form(self, places: Places) -> Form:
        """What all of the schemas there allow at once. Raises OptionInvalid."""
        if places not in self._forms:
            found = EVERYTHING
            for place in sorted(places):
                found = self._both(found, self._place_form(place), place.pointer)
            self._forms[places] = found
        return self._forms[places]

    def canonical(self, places: Places) -> Places:
        """The same, with schemas that are a $ref and nothing more replaced by what they refer to."""
        if all(place.is_meant is False or not place.pointer for place in places):
            return places
        return frozenset(found for place in places if (found := self._target(place)) is not None)

    def _target(self, place: Place) -> Place | None:
        """None: a schema that allows everything."""
        for _ in range(MOST_IN_PLACE):
            if not place.is_meant or place.pointer == NOTHING_POINTER:
                return place
            schema = self._document.at(place.pointer)
            if schema is True:
                return None
            if not isinstance(schema, dict):
                return place
            words = [word for word in schema if KEYWORDS.get(word, ANNOTATION) != ANNOTATION]
            check_words(schema, place.pointer)
            if not words:
                return None
            if words != ["$ref"]:
                return place
            place = Place(self._document.resolve(place.pointer, schema["$ref"]), True)
        return place

    def _both(self, left: Form, right: Form, pointer: str) -> Form:
        with _Refusals(pointer):
            return intersect(left, right, self.form)

    def _place_form(self, place: Place) -> Form:
        if place.pointer == NOTHING_POINTER:
            return () if place.is_meant else EVERYTHING
        if place not in self._of_place:
            if place in self._open or len(self._open) >= MOST_IN_PLACE:
                raise refuse(
                    place.pointer,
                    "it leads to itself without an item or a property in between"
                    if place in self._open
                    else f"more than {MOST_IN_PLACE} schemas lead to each other",
                    "remove the circle",
                )
            self._open.append(place)
            self._of_place[place] = self._meant(place) if place.is_meant else self._not(place)
            self._open.pop()
        return self._of_place[place]

    def _not(self, place: Place) -> Form:
        found = self._place_form(Place(place.pointer, True))
        try:
            if place.pointer in self._narrowed:
                raise CannotNegate("a oneOf with a discriminator")
            with _Refusals(place.pointer):
                return negated(found, self.form)
        except CannotNegate as error:
            raise refuse(place.pointer, f"what it does not allow cannot be kept: {error}") from None

    def _meant(self, place: Place) -> Form:
        pointer = place.pointer
        schema = self._document.at(pointer)
        if isinstance(schema, bool):
            return EVERYTHING if schema else ()
        if not isinstance(schema, dict):
            raise refuse(pointer, "a schema is an object, true or false")
        check_words(schema, pointer)
        self._check_siblings(schema, pointer)
        with _Refusals(pointer):
            own = tuple(item for item in own_form(schema, pointer) if not is_clearly_empty(item))
            found = _with_values(own, schema, pointer, self.form)
        for keyword, resolve in self._resolvers().items():
            if keyword in schema:
                found = resolve(schema, pointer, found)
        return found

    def _check_siblings(self, schema: Schema, pointer: str) -> None:
        """Draft 7 ignores what stands beside a $ref; its author hardly meant that."""
        if "$ref" not in schema or self._document.has_ref_siblings:
            return
        for word in schema:
            if word not in _BESIDE_REF and KEYWORDS.get(word, ANNOTATION) != ANNOTATION:
                raise refuse(
                    f"{pointer}/{escape(word)}",
                    "draft 7 ignores keywords beside $ref",
                    'put both into "allOf", or leave out "$schema"',
                )

    def _resolvers(self) -> dict[str, Callable[[Schema, str, Form], Form]]:
        """In this order; unevaluated... see what all others have made."""
        return {
            "$ref": self._ref,
            "allOf": self._all_of,
            "anyOf": self._any_of,
            "oneOf": self._one_of,
            "not": self._negation,
            "if": self._condition,
            "dependentRequired": self._dependents,
            "dependentSchemas": self._dependents,
            "dependencies": self._dependents,
            "unevaluatedProperties": self._unevaluated_properties,
            "unevaluatedItems": self._unevaluated_items,
        }

    def _child(self, pointer: str, parent: str, *, is_meant: bool = True) -> Form:
        """The form of a schema that applies at the same place as its parent."""
        found = self._place_form(Place(pointer, is_meant))
        if pointer in self._narrowed:
            self._narrowed.add(parent)
        return found

    def _ref(self, schema: Schema, pointer: str, found: Form) -> Form:
        target = self._document.resolve(pointer, schema["$ref"])
        return self._both(found, self._child(target, pointer), f"{pointer}/$ref")

    def _branches(self, schema: Schema, keyword: str, pointer: str) -> list[str]:
        listed = schema[keyword]
        if not isinstance(listed, list) or not listed:
            raise refuse(f"{pointer}/{keyword}", "it must be a list of schemas")
        return [f"{pointer}/{keyword}/{index}" for index in range(len(listed))]

    def _all_of(self, schema: Schema, pointer: str, found: Form) -> Form:
        for branch in self._branches(schema, "allOf", pointer):
            found = self._both(found, self._child(branch, pointer), branch)
        return found

    def _any_of(self, schema: Schema, pointer: str, found: Form) -> Form:
        forms = [
            self._both(found, self._child(branch, pointer), branch)
            for branch in self._branches(schema, "anyOf", pointer)
        ]
        with _Refusals(f"{pointer}/anyOf"):
            return distinct(item for form in forms for item in form)

    def _one_of(self, schema: Schema, pointer: str, found: Form) -> Form:
        where = f"{pointer}/oneOf"
        branches = self._branches(schema, "oneOf", pointer)
        forms = [self._both(found, self._child(branch, pointer), branch) for branch in branches]
        marked = _marked(forms, schema.get("discriminator"))
        if marked is not None:
            forms = marked
            self._narrowed.add(pointer)
        with _Refusals(where):
            kept = [self._alone(index, forms, branches, where) for index in range(len(forms))]
            return distinct(item for form in kept for item in form)

    def _alone(self, index: int, forms: list[Form], branches: list[str], where: str) -> Form:
        """Of one branch, what no other branch allows."""
        kept = forms[index]
        for other, form in enumerate(forms):
            if other != index and not are_disjoint(without_formats(kept), without_formats(form), self.form):
                try:
                    kept = intersect(kept, negated(form, self.form), self.form)
                except CannotNegate as error:
                    raise refuse(
                        where,
                        f"branches {min(index, other)} and {max(index, other)} may both apply ({error})",
                        'tell them apart by a required property with "const", or use "anyOf"',
                    ) from None
                if branches[other] in self._narrowed:
                    raise refuse(where, "its branches may both apply")
        return kept

    def _negation(self, schema: Schema, pointer: str, found: Form) -> Form:
        return self._both(found, self._child(f"{pointer}/not", pointer, is_meant=False), f"{pointer}/not")

    def _condition(self, schema: Schema, pointer: str, found: Form) -> Form:
        if "then" not in schema and "else" not in schema:
            return found
        then = self._both(found, self._child(f"{pointer}/if", pointer), f"{pointer}/if")
        if "then" in schema:
            then = self._both(then, self._child(f"{pointer}/then", pointer), f"{pointer}/then")
        other = self._both(found, self._child(f"{pointer}/if", pointer, is_meant=False), f"{pointer}/if")
        if "else" in schema:
            other = self._both(other, self._child(f"{pointer}/else", pointer), f"{pointer}/else")
        with _Refusals(f"{pointer}/if"):
            return distinct((*then, *other))

    def _dependents(self, schema: Schema, pointer: str, found: Form) -> Form:
        for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
            given = schema.get(keyword, {})
            if not isinstance(given, dict):
                raise refuse(f"{pointer}/{keyword}", "it must be an object")
            for name, needed in given.items():
                where = f"{pointer}/{keyword}/{escape(name)}"
                present: Form = (Object(required=(name,)),)
                if isinstance(needed, list) and keyword != "dependentSchemas":
                    present = (Object(required=tuple(dict.fromkeys((name, *map(str, needed))))),)
                else:
                    present = self._both(present, self._child(where, pointer), where)
                absent = Object(parts=(ObjectPart(((name, NOTHING),)),))
                others = tuple(item for item in EVERYTHING if not isinstance(item, Object))
                found = self._both(found, (*others, absent, *present), where)
        return found

    def _unevaluated_properties(self, schema: Schema, pointer: str, found: Form) -> Form:
        where = f"{pointer}/unevaluatedProperties"
        rest = _rest(schema["unevaluatedProperties"], where)
        return tuple(
            _closed_object(item, rest, where) if isinstance(item, Object) else item for item in found
        )

    def _unevaluated_items(self, schema: Schema, pointer: str, found: Form) -> Form:
        where = f"{pointer}/unevaluatedItems"
        rest = _rest(schema["unevaluatedItems"], where)
        return tuple(_closed_array(item, rest, where) if isinstance(item, Array) else item for item in found)


NOTHING_POINTER = next(iter(NOTHING)).pointer


class _Refusals:
    """Turns the algebra's limits into refusals that name a place."""

    def __init__(self, pointer: str) -> None:
        self._pointer = pointer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TooManyAlternatives):
            reason = f"anyOf, allOf and the like multiply to more than {MOST_ALTERNATIVES} alternatives"
            raise refuse(self._pointer, reason, "simplify the schema") from None
        if isinstance(error, TooManyStates):
            reason = f"its texts or numbers need an automaton of more than {MOST_STATES} states"
            raise refuse(self._pointer, reason, "give smaller bounds or a simpler pattern") from None


def _with_values(found: Form, schema: Schema, pointer: str, form_of: Callable[[Places], Form]) -> Form:
    """Those of `enum` and `const` that its other keywords allow."""
    if "enum" in schema:
        if not isinstance(schema["enum"], list):
            raise refuse(f"{pointer}/enum", "it must be a list")
        found = intersect(tuple(dict.fromkeys(map(literal, schema["enum"]))), found, form_of)
    if "const" in schema:
        found = intersect((literal(schema["const"]),), found, form_of)
    return found


def _marked(forms: list[Form], discriminator: Any) -> list[Form] | None:
    """Branches with the property required that OpenAPI's `discriminator` names; None: it names none."""
    name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
    if not isinstance(name, str):
        return None

    def marked(form: Form) -> Iterator[Any]:
        for item in form:
            if isinstance(item, Object) and name not in item.required:
                yield replace(item, required=(*item.required, name))
            else:
                yield item

    return [tuple(marked(form)) for form in forms]


def _rest(schema: object, pointer: str) -> Places:
    return ANYTHING if schema is True else frozenset({Place(pointer, True)})


def _closed_object(item: Object, rest: Places, where: str) -> Object:
    if item.is_negated:
        raise refuse(where, "beside not, if or dependents it cannot be kept", "use additionalProperties")
    if any(part.others is not None for part in item.parts):
        return item
    named = tuple((name, ANYTHING) for part in item.parts for name, _ in part.properties)
    patterns = tuple((found, ANYTHING) for part in item.parts for found, _ in part.patterns)
    return replace(item, parts=(*item.parts, ObjectPart(named, patterns, rest)))


def _closed_array(item: Array, rest: Places, where: str) -> Array:
    if item.contains or item.is_negated:
        raise refuse(where, "beside contains, not or if it cannot be kept", "use items")
    if any(part.rest is not None for part in item.parts):
        return item
    return replace(item, parts=(*item.parts, ArrayPart((ANYTHING,) * item.prefix_length, rest)))
