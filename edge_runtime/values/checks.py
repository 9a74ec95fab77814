"""Checks of numbers that a caller gives: from Python as numbers, from the command line as text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from numbers import Integral, Real

from ..errors import OptionInvalid

MOST_COUNT = 2**24  # tokens, threads, runs: more than any of them can be

_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def whole_number(name: str, value: object, low: int = 1, high: int = MOST_COUNT, *, hint: str = "") -> int:
    """`value` as an int from `low` to `high`; a float without a fraction, such as 42.0, is one too.

    Raises OptionInvalid, naming `name`, for anything else: 2.5, NaN, True, text.
    """
    found = _as_int(value)
    if found is None or not low <= found <= high:
        raise _refused(name, value, f"a whole number from {low} to {high}", hint)
    return found


def whole_number_or_none(
    name: str, value: object, low: int = 1, high: int = MOST_COUNT, *, hint: str = ""
) -> int | None:
    """The same of an option that may be left out."""
    return None if value is None else whole_number(name, value, low, high, hint=hint)


def require_range(name: str, value: object, low: float, high: float) -> float:
    """`value` as a float from `low` to `high`. Raises OptionInvalid, naming `name`; NaN is refused too."""
    found = _as_float(value)
    if not low <= found <= high:
        raise _refused(name, value, f"a number from {low:g} to {high:g}")
    return found


def parse_whole_number(text: str, name: str) -> int:
    """Digits with or without a sign -> int, of any size. Raises OptionInvalid, naming `name`."""
    try:
        if _WHOLE.fullmatch(text):
            return int(text)
    except ValueError:  # thousands of digits: Python's own limit
        pass
    raise _refused(name, text, "a whole number")


def parse_number(text: str, name: str) -> float:
    """'0.5', '.5', '1e3' -> float. Raises OptionInvalid, naming `name`, also for 'nan' and 'inf'."""
    if not _DECIMAL.fullmatch(text):
        raise _refused(name, text, "a number")
    return float(text)


def parse_count(text: str | None, name: str) -> int | None:
    """A whole number above 0, or None when it was not given. Raises OptionInvalid, naming `name`."""
    return None if text is None else whole_number(name, parse_whole_number(text, name))


def require_text(name: str, value: object) -> str:
    """`value` as it is, when it is text that UTF-8 can hold. Raises OptionInvalid, naming `name`."""
    if not isinstance(value, str):
        raise _refused(name, value, "text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise OptionInvalid(
            f"{name}: character {error.start} is a lone surrogate, which UTF-8 cannot hold",
            hint="decode the text with errors='replace'",
            option=name,
        ) from error
    return value


def require_known(names: Iterable[str], known: Iterable[str]) -> None:
    """Raises OptionInvalid for the first keyword, by name, that is not a known one."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise OptionInvalid(
            f"{unknown[0]}: no such option", hint="known: " + ", ".join(sorted(known)), option=unknown[0]
        )


def _as_int(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return int(value)
    found = _as_float(value)
    return int(found) if found.is_integer() else None


def _as_float(value: object) -> float:
    """NaN for what is no number, and for one that is too large for a float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _refused(name: str, value: object, expected: str, hint: str = "") -> OptionInvalid:
    try:
        shown = repr(value)
    except ValueError:  # thousands of digits: Python's own limit
        shown = "a number of thousands of digits"
    shown = shown if len(shown) <= 42 else f"{shown[:40]}..."
    return OptionInvalid(
        f"{name}: {shown} is not {expected}", hint=hint or f"give {expected}", option=name, value=shown
    )
