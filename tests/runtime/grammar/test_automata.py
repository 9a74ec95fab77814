"""Automata of numbers, expressions and formats against Python's own arithmetic and libraries."""

from __future__ import annotations

import datetime
import ipaddress
import random
import re
import uuid
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.runtime.grammar.automaton import (
    complement,
    finite_words,
    intersection,
    longest_text,
    of_length,
    of_words,
    shortest_text,
)
from edge_runtime.runtime.grammar.formats import EXPRESSIONS
from edge_runtime.runtime.grammar.numbers import Limit, number_automaton
from edge_runtime.runtime.grammar.regex import of_pattern, of_whole

STEPS = [Fraction(text) for text in ("1", "2", "3", "7", "1/2", "1/100", "3/2", "0.07")]


def a_bound(draw: random.Random) -> Fraction:
    return Fraction(
        draw.choice([draw.randint(-20, 20), draw.randint(-2000, 2000)]), draw.choice([1, 1, 4, 100])
    )


def a_number(draw: random.Random) -> str:
    text = format(float(a_bound(draw)), f".{draw.randint(0, 3)}f")
    return text if text.strip("-0.") else text.lstrip("-")


@pytest.mark.parametrize("is_integer", [None, True, False])
def test_numbers_are_within_their_bounds_exactly(is_integer: bool | None) -> None:
    draw = random.Random(7)
    for _ in range(80):
        low = Limit(a_bound(draw), draw.random() < 0.5) if draw.random() < 0.8 else None
        high = Limit(a_bound(draw), draw.random() < 0.5) if draw.random() < 0.8 else None
        steps = (draw.choice(STEPS),) if draw.random() < 0.4 else ()
        automaton = number_automaton(is_integer, low, high, steps)
        assert automaton is not None
        for text in (a_number(draw) for _ in range(60)):
            number = Fraction(text)
            expected = (
                (low is None or low.allows_above(number))
                and (high is None or high.allows_below(number))
                and all((number / step).denominator == 1 for step in steps)
                and not (is_integer is True and "." in text)
                and not (is_integer is False and number.denominator == 1)
            )
            assert automaton.accepts(text) == expected, (low, high, steps, text)


@pytest.mark.parametrize("text", ["-0", "-0.0", "01", "1.", ".5", "", "-", "+1", "1e5"])
def test_what_is_no_number_is_not_accepted(text: str) -> None:
    automaton = number_automaton(None, Limit(Fraction(-100), False), Limit(Fraction(100), False), ())
    assert automaton is not None and not automaton.accepts(text)


def test_numbers_stay_within_their_bounds_when_they_are_read_as_doubles() -> None:
    automaton = number_automaton(None, None, Limit(Fraction(3), True), ())
    assert automaton is not None
    assert automaton.accepts("2.99999999999999") and not automaton.accepts("2.9999999999999999")
    assert float("2.9999999999999999") == 3.0


PATTERNS = [
    *("a", "^a", "a$", "^a$", "^$", "", "a|b", "^(a|b)*c$", "^a{2}$", "^a{1,3}$", "^a{2,}$", "a+?b", "^.b$"),
    *(
        "^[^a]$",
        "^[a-c]+$",
        r"^[\]\-^]$",
        r"^\.$",
        "^(a(b|c)?){2}$",
        "(^a|b)c",
        "a(b$|c)",
        "^(?:ab)+$",
        "b^a",
    ),
    *("x*", "^(a*)*$", "^(a|ab)(c|bcd)$", "[a]", r"\x61", r"^\u0062", "^(|a)b$", "a{0}b", "^a{0,0}$"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="abcd.x]-^\n", max_size=6))
def test_expressions_find_what_python_finds(pattern: str, text: str) -> None:
    expected = re.search(pattern.replace("$", r"\Z"), text) is not None
    assert of_pattern(pattern).accepts(text) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab", max_size=6), st.text(alphabet="ab\U0001f600\ue000", max_size=6))
def test_intersection_and_complement(word: str, text: str) -> None:
    both = intersection(of_pattern("a.*b"), complement(of_words(frozenset({word}))))
    assert both.accepts(text) == (re.search("a.*b", text) is not None and text != word)
    assert of_length(2, 3).accepts(text) == (2 <= len(text) <= 3)


def test_sizes_of_languages() -> None:
    assert finite_words(of_pattern("^a?[bc]$"), 10) == ["b", "c", "ab", "ac"]
    assert finite_words(of_pattern("^a"), 10) is None
    assert (longest_text(of_pattern("^ab{2,5}$")), shortest_text(of_pattern("^ab{2,5}$"))) == (6, 3)
    assert longest_text(of_pattern("^ab*$")) is None


def test_dates_are_those_of_the_calendar() -> None:
    automaton = of_whole(EXPRESSIONS["date"])
    for year in (1, 4, 99, 100, 400, 1900, 2000, 2023, 2024, 9999):
        for month in range(14):
            for day in range(33):
                try:
                    datetime.date(year, month, day)
                    expected = True
                except ValueError:
                    expected = False
                assert automaton.accepts(f"{year:04}-{month:02}-{day:02}") == expected


@pytest.mark.parametrize(
    "text",
    [
        *("::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", ":::", "1:2"),
        *("1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "1::2::3", "12345::", "g::", "1:2:3:4:5:6::8", ""),
    ],
)
def test_ipv6_addresses(text: str) -> None:
    try:
        expected = bool(ipaddress.IPv6Address(text))
    except ValueError:
        expected = False
    assert of_whole(EXPRESSIONS["ipv6"]).accepts(text) == (expected or text == "::")


def test_other_formats() -> None:
    assert of_whole(EXPRESSIONS["uuid"]).accepts(str(uuid.uuid4()))
    assert of_whole(EXPRESSIONS["date-time"]).accepts("2024-02-29T23:59:59.5+01:00")
    assert not of_whole(EXPRESSIONS["date-time"]).accepts("2024-02-29 23:59:59Z")
    assert of_whole(EXPRESSIONS["email"]).accepts("ada.lovelace@example.org")
    assert of_whole(EXPRESSIONS["uri"]).accepts("https://huggingface.co/a/b?c=d#e")
    assert of_whole(EXPRESSIONS["duration"]).accepts("P3DT4H59M")
    assert not of_whole(EXPRESSIONS["ipv4"]).accepts("256.0.0.1")
