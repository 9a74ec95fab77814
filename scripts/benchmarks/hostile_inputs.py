"""Random and damaged JSON Schemas and GBNF grammars, each made from a number."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

_WORDS = ("a", "b", "id", "", "ab", 'q"\\', "\n", "\U0001f600", "~/", "\ud83d", "$ref", "x" * 200)
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    -1,
    100,
    65_536,
    10**9,
    2.5,
    -0.25,
    1e-7,
    1e300,
    10**40,
    float("nan"),
    True,
    None,
    "3",
)
_PATTERNS = (
    *("a", "^a+$", "^[a-f]{2,5}$", r"^\d+\.\w*$", "(a|b)*c", "[^a]", ".*", r"^\p{L}+$", "^(ab?){3}$", ""),
    *(
        "(",
        "a{99999}",
        r"\1",
        "(?=a)",
        "[z-a]",
        "(" * 300,
        "a.{25}b",
        "((a*)*)*",
        r"\u{110000}",
        "^(.|\n){900}$",
    ),
)
_SOUND_PATTERNS = tuple(pattern for pattern in _PATTERNS[:10] if "p{" not in pattern)
_TYPES = ("null", "boolean", "number", "integer", "string", "array", "object", "text", 5)
_FORMATS = ("date", "email", "uri", "uuid", "regex", "my-own", 3)
_REFERENCES = ("#", "#b", "other.json", "#/$defs/a", "#/properties/a", "#/items")
_KEYWORDS = {
    "count": "minLength maxLength minItems maxItems minProperties maxProperties minContains "
    "maxContains".split(),
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split(),
    "schema": "not if then else items additionalItems contains additionalProperties propertyNames "
    "unevaluatedItems unevaluatedProperties".split(),
    "list": "allOf anyOf oneOf prefixItems items".split(),
    "map": "properties patternProperties dependentSchemas $defs".split(),
    "other": "type enum const pattern format required uniqueItems $ref dependentRequired title unknown "
    "maxlength $id $anchor discriminator default".split(),
}


def a_schema(number: int, *, sane: bool = False) -> Any:
    """sane: values that the standard allows, and nothing that the package `jsonschema` stumbles over."""
    return _Schemas(random.Random(number), sane).schema(3)


class _Schemas:
    def __init__(self, draw: random.Random, sane: bool) -> None:
        self._draw, self._sane = draw, sane

    def schema(self, depth: int) -> Any:
        draw = self._draw
        if draw.random() < 0.08 or depth == 0:
            return draw.choice([True, False, {}, {"type": "string"}, {"type": "integer"}, {"const": 1}])
        if not self._sane and draw.random() < 0.02:
            return draw.choice([None, 5, [], "x"])
        found: dict[str, Any] = {}
        if draw.random() < 0.6:
            found["type"] = self._type()
        for _ in range(draw.choice((0, 1, 1, 2, 3, 4))):
            kind = draw.choice(tuple(_KEYWORDS))
            keyword = draw.choice(_KEYWORDS[kind])
            if self._sane and (keyword in ("$id", "$anchor") or (kind, keyword) == ("list", "items")):
                continue
            found[keyword] = self._value(kind, keyword, depth - 1)
        return found

    def _type(self) -> Any:
        names = _TYPES[:7] if self._sane else _TYPES
        chosen = self._draw.choice(names)
        return [chosen, self._draw.choice(names)] if self._draw.random() < 0.15 else chosen

    def _word(self) -> str:
        words = [word for word in _WORDS if not self._sane or "\ud83d" not in word]
        return self._draw.choice(words)

    def _value(self, kind: str, keyword: str, depth: int) -> Any:
        draw = self._draw
        if kind == "count":
            return draw.randint(0, 4) if self._sane or draw.random() < 0.6 else draw.choice(_NUMBERS)
        if kind == "number":
            sane = [1, 2, 5, 0.5, 10, 2.5] + ([-3, 0] if keyword != "multipleOf" else [])
            return draw.choice(sane) if self._sane or draw.random() < 0.6 else draw.choice(_NUMBERS)
        if kind == "schema":
            return self.schema(depth)
        if kind == "list":
            return [self.schema(depth) for _ in range(draw.randint(1, 3))]
        if kind == "map":
            names = _SOUND_PATTERNS if keyword == "patternProperties" else [self._word() for _ in range(3)]
            return {draw.choice(names): self.schema(depth) for _ in range(draw.randint(0, 4))}
        return self._other(keyword)

    def _other(self, keyword: str) -> Any:
        draw = self._draw
        makers: dict[str, Callable[[], Any]] = {
            "type": self._type,
            "enum": lambda: [self._json() for _ in range(draw.randint(1, 60 if draw.random() < 0.1 else 4))],
            "const": self._json,
            "pattern": lambda: draw.choice(_SOUND_PATTERNS if self._sane else _PATTERNS),
            "format": lambda: draw.choice(_FORMATS[:4] if self._sane else _FORMATS),
            "required": lambda: [self._word() for _ in range(draw.randint(0, 3))],
            "uniqueItems": lambda: draw.random() < 0.7,
            "$ref": lambda: draw.choice(_REFERENCES[2:] if self._sane else _REFERENCES),
            "dependentRequired": lambda: {self._word(): [self._word()]},
        }
        return makers.get(keyword, self._word)()

    def _json(self) -> Any:
        draw = self._draw
        scalars = [None, True, False, 0, 1, 1.5, -3, self._word(), "a", "b", 2.0]
        if draw.random() < 0.2:
            return draw.choice([[draw.choice(scalars)], {self._word(): draw.choice(scalars)}])
        return draw.choice(scalars)


def a_large_schema(number: int) -> Any:
    """One thing of it is very large or very deep."""
    draw = random.Random(number)
    count = draw.choice((50, 99, 101, 500, 3_000, 60_000))
    kind = draw.randrange(8)
    if kind == 0:
        found: Any = {"type": "string"}
        for _ in range(min(count, 900)):
            found = draw.choice([{"items": found}, {"properties": {"a": found}}, {"anyOf": [found, {}]}])
        return found
    if kind == 1:
        return {"enum": [f"word {number}" for number in range(count)]}
    if kind == 2:
        return {"properties": {f"p{number}": {"type": "null"} for number in range(count)}, "type": "object"}
    if kind == 3:
        return {
            "allOf": [
                {"anyOf": [{"required": [f"a{n}"]}, {"required": [f"b{n}"]}]} for n in range(min(count, 99))
            ]
        }
    if kind == 4:
        keyword = draw.choice(("maxLength", "minLength", "maxItems", "minItems", "maxProperties"))
        return {"type": {"L": "string", "I": "array", "P": "object"}[keyword[3]], keyword: count * 17}
    if kind == 5:
        places = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(min(count, 2_000))}
        return {"$ref": "#/$defs/d0", "$defs": places}
    if kind == 6:
        return {"type": "string", "pattern": "^" + "(a|b" * min(count, 400) + ")" * min(count, 400) + "$"}
    return {
        "type": "array",
        "uniqueItems": True,
        "items": {"enum": list(range(min(count, 300)))},
        "minItems": 2,
    }


_GRAMMARS = (
    'root ::= "yes" | "no"\n',
    'root ::= expr\nexpr ::= term ("+" term)*\nterm ::= [0-9]+ | "(" expr ")"\n',
    'root ::= obj\nobj ::= "{" (pair ("," pair)*)? "}"\npair ::= "\\"" [a-z]{1,8} "\\":" val\n'
    "val ::= [0-9] | obj\n",
    'root ::= [^\\x00-\\x1F"]{0,40} "\\u00e9" . <|im_end|> # remark\n',
    'root ::= ("a" "b"? | "c"){2,5} s\ns ::= "x" s | ""\n',
)
_PIECES = (
    *(
        "(",
        ")",
        "[",
        "]",
        '"',
        "\\",
        "|",
        "*",
        "+",
        "?",
        "{0,3000}",
        "{2,1}",
        "{1000}",
        "root",
        "::=",
        "\n",
        "#",
    ),
    *(
        "<a>",
        "!",
        "\U0001f600",
        "\ud83d",
        "\x00",
        "[^a]",
        '""',
        "x-y",
        "(" * 2_000,
        "{0,200}",
        '"a"?',
        "-",
        "\\u",
    ),
)


def a_grammar(number: int) -> str:
    """A sound grammar with up to twelve changes, or one made of rules at random."""
    draw = random.Random(number)
    if draw.random() < 0.3:
        return _random_grammar(draw)
    text = draw.choice(_GRAMMARS)
    for _ in range(draw.choice((0, 1, 1, 2, 4, 12))):
        place = draw.randrange(len(text) + 1)
        if draw.random() < 0.5:
            text = text[:place] + draw.choice(_PIECES) + text[place:]
        else:
            text = text[:place] + text[place + draw.randint(1, 4) :]
    return text


def _random_grammar(draw: random.Random) -> str:
    """Rules refer to later ones, and now and then to any other."""
    count = draw.choice((1, 2, 4, 8, 30, 300))
    names = ["root", *(f"r{number}" for number in range(count))]

    def item(number: int) -> str:
        later = names[number + 1 : number + 8] or ['"z"']
        name = draw.choice(names if draw.random() < 0.02 else later)
        found = draw.choice(['"a"', '"b"', "[a-c]", '""', f"({name})", name, name, f'("x" | {name})'])
        return found + draw.choice([*[""] * 6, "?", "*", "+", "{0,3}", "{0,60}", "{3}"])

    def sequence(number: int) -> str:
        return " ".join(item(number) for _ in range(draw.randint(1, 4)))

    rules = []
    for number, name in enumerate(names):
        options = [sequence(number) for _ in range(draw.randint(1, 3))]
        if draw.random() < 0.2:  # recursion behind something
            options.append(f'"(" {draw.choice(names)} ")"')
        rules.append(f"{name} ::= " + " | ".join(options))
    return "\n".join(rules)


def damaged(schema: Any, number: int) -> Any:
    """A copy with up to four places replaced by what belongs elsewhere."""
    draw = random.Random(number)
    found = copy.deepcopy(schema)
    for _ in range(draw.randint(1, 4)):
        place = found
        while isinstance(place, dict) and place:
            key = draw.choice(list(place))
            if draw.random() < 0.4 or not isinstance(place[key], (dict, list)):
                place[key] = draw.choice([*_NUMBERS, *_WORDS, [], {}, [{}], False])
                break
            place = place[key] if isinstance(place[key], dict) else None
    return found
