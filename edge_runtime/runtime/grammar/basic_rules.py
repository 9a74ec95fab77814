"""Rules that any JSON grammar shares: blanks, characters of strings, free numbers."""

from __future__ import annotations

from .rules import OneOf, Ref, Row, Rules, Times, Words

_HEX = ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66))
_DIGIT = ((0x30, 0x39),)
# What stands in a string as it is (RFC 8259): no control character, quote or backslash.
PLAIN = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, 0x10FFFF))

BLANK = Ref("ws")  # where a line may break: nothing, a space, or one line break with its indentation
SPACE = Ref("sp")  # behind a colon: nothing or a space
CHAR = "char"  # one code point of a string, escaped or not
STRING_REST = "string-rest"  # any characters and the closing quote
NUMBER, INTEGER = "number", "integer"


def add_basic_rules(rules: Rules) -> None:
    """Only those that are referred to become part of the text."""
    rules.add("tab", (OneOf(((0x09, 0x09), (0x20, 0x20))),))
    rules.add("ws", (), (Words(" "),), (Words("\n"), Times("tab", 0, 20)))
    rules.add("sp", (), (Words(" "),))
    _add_strings(rules)
    _add_numbers(rules)


def _add_strings(rules: Rules) -> None:
    rules.add("hex", (OneOf(_HEX),))
    hex3 = Times("hex", 3, 3)
    not_d = ((0x30, 0x39), (0x41, 0x43), (0x45, 0x46), (0x61, 0x63), (0x65, 0x66))
    d, low, high = OneOf(((0x44, 0x44), (0x64, 0x64))), OneOf(((0x30, 0x37),)), Times("hex", 2, 2)
    upper = ((0x38, 0x39), (0x41, 0x42), (0x61, 0x62))  # D800 to DBFF
    lower = ((0x43, 0x46), (0x63, 0x66))  # DC00 to DFFF
    rules.add(
        "escape",
        (OneOf(tuple((ord(char), ord(char)) for char in '"/\\bfnrt')),),
        (Words("u"), OneOf(not_d), hex3),
        (Words("u"), d, low, high),
        (Words("u"), d, OneOf(upper), high, Words("\\u"), d, OneOf(lower), high),
    )
    rules.add(CHAR, (OneOf(PLAIN),), (Words("\\"), Ref("escape")))
    rules.add(STRING_REST, (Times(CHAR, 0, None), Words('"')))


def _add_numbers(rules: Rules) -> None:
    """Up to 16 digits before and after the point; an exponent that a double can hold."""
    one_to_nine = OneOf(((0x31, 0x39),))
    rules.add("digit", (OneOf(_DIGIT),))
    rules.add("minus", (), (Words("-"),))
    places: Row = (Words("."), Times("digit", 1, 16))
    rules.add("places", (), places)
    rules.add(
        "exponent",
        (Times("digit", 1, 2),),
        (OneOf(((0x31, 0x32),)), Times("digit", 2, 2)),
    )
    rules.add("sign", (), (OneOf(((0x2B, 0x2B), (0x2D, 0x2D))),))
    rules.add(INTEGER, (Words("0"),), (Ref("minus"), one_to_nine, Times("digit", 0, 15)))
    rules.add(
        NUMBER,
        (Ref("minus"), Words("0"), Ref("places")),
        (Ref("minus"), one_to_nine, Times("digit", 0, 15), Ref("places")),
        (
            *(Ref("minus"), one_to_nine, Ref("places")),
            *(OneOf(((0x45, 0x45), (0x65, 0x65))), Ref("sign"), Ref("exponent")),
        ),
    )
