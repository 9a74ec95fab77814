"""Checks of option values that several callers share."""

from __future__ import annotations

from ..errors import OptionInvalid


def require_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, (int, float)) and low <= value <= high:  # NaN fails both comparisons
        return
    raise OptionInvalid(
        f"{name}: {value!r} is not between {low:g} and {high:g}",
        hint=f"give a number from {low:g} to {high:g}",
        option=name,
        value=str(value),
    )


def parse_count(text: str | None, option: str) -> int | None:
    """Raises OptionInvalid, naming the option."""
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 2**24:
        raise OptionInvalid(
            f"--{option}: {text[:40]!r} is not a whole number above 0", hint="leave it out", option=option
        )
    return int(text)
