"""Numbers that a caller gives: one wording, whichever way they come, and never a traceback."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.values.checks import (
    parse_count,
    parse_number,
    parse_whole_number,
    require_range,
    whole_number,
    whole_number_or_none,
)
from edge_runtime.values.records import GenerationOptions, SamplingOptions, generation_options

HUGE = 10**400


@pytest.mark.parametrize("value", [42, 42.0, np.int64(42), np.float32(42), Fraction(42)])
def test_whole_number_comes_back_as_an_int(value: object) -> None:
    found = whole_number("top_k", value)
    assert (found, type(found)) == (42, int)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.5, "2.5"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (True, "True"),
        (None, "None"),
        ("5", "'5'"),
        (0, "0"),
        (-1, "-1"),
        (2**24 + 1, "16777217"),
        (HUGE, "1" + "0" * 39 + "..."),
        pytest.param(10**5000, "a number of thousands of digits", id="thousands of digits"),
        (Fraction(10**400, 3), "Fraction("),
        (1 + 0j, "(1+0j)"),
    ],
)
def test_anything_else_is_refused_in_one_wording(value: object, shown: str) -> None:
    with pytest.raises(OptionInvalid) as caught:
        whole_number("threads", value)
    assert str(caught.value).startswith(f"threads: {shown}")
    assert str(caught.value).endswith("is not a whole number from 1 to 16777216")
    assert caught.value.facts["option"] == "threads"
    assert caught.value.hint == "give a whole number from 1 to 16777216"


def test_left_out_is_not_wrong() -> None:
    assert whole_number_or_none("threads", None) is None
    assert whole_number_or_none("threads", 3.0) == 3


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1)])
def test_number_in_its_range_is_a_float(value: object) -> None:
    found = require_range("top_p", value, 0, 1)
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize("value", [1.5, -0.1, math.nan, math.inf, True, "1", HUGE, -HUGE, None])
def test_number_outside_its_range_is_refused(value: object) -> None:
    with pytest.raises(OptionInvalid, match=r"^top_p: .* is not a number from 0 to 1$"):
        require_range("top_p", value, 0, 1)


@pytest.mark.parametrize("text", ["", " 5", "5 ", "1e3", "1_000", "2.0", "٣", "0x10", "--5", "9" * 5000])
def test_text_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(OptionInvalid, match=r"^seed: .* is not a whole number$") as caught:
        parse_whole_number(text, "seed")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("text", ["-1", "0", "9" * 400, "16777217", "+0"])
def test_count_that_is_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(OptionInvalid, match=r"^chunks: .* is not a whole number from 1 to 16777216$"):
        parse_count(text, "chunks")


def test_count_is_parsed() -> None:
    assert [parse_count(text, "chunks") for text in ("12", "+3", None)] == [12, 3, None]


@pytest.mark.parametrize(
    ("text", "number"), [("0.5", 0.5), (".5", 0.5), ("1e3", 1000.0), ("-2", -2.0), ("3.", 3.0)]
)
def test_number_is_parsed(text: str, number: float) -> None:
    assert parse_number(text, "temperature") == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_0", " 1", "1e", "0x1p3", "1e9999"])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(OptionInvalid, match=r"^temperature: .* is not a number$"):
        parse_number(text, "temperature")


def test_huge_exponent_is_left_to_the_range() -> None:
    with pytest.raises(OptionInvalid, match="inf is not a number from 0 to 100"):
        SamplingOptions(temperature=parse_number("1e999", "temperature"))


def test_whole_floats_become_ints_in_sampling_and_generation() -> None:
    options = generation_options({}, {"seed": 42.0, "top_k": 40.0, "max_tokens": 16.0, "top_logprobs": 2.0})
    found = (options.sampling.seed, options.sampling.top_k, options.max_tokens, options.top_logprobs)
    assert found == (42, 40, 16, 2)
    assert [type(value) for value in found] == [int] * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 2.5),
        ("max_tokens", 0),
        ("max_tokens", True),
        ("top_logprobs", 101),
        ("seed", HUGE),
        ("seed", 2**32 - 1),
        ("top_k", math.nan),
        ("penalty_window_tokens", -1),
    ],
)
def test_other_numbers_are_refused(name: str, value: Any) -> None:
    with pytest.raises(OptionInvalid, match=f"^{name}: .* is not a whole number from"):
        generation_options({}, {name: value})


def test_temperature_is_a_float_whatever_it_came_as() -> None:
    assert type(SamplingOptions(temperature=0).temperature) is float
    assert SamplingOptions(temperature=0).greedy
    assert GenerationOptions().max_tokens is None
