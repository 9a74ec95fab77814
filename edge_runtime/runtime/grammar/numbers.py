"""Automata of JSON numbers within bounds, as texts without an exponent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from .automaton import Automaton, complement, explore, intersection

WHOLE_DIGITS = 16  # before the point: every integer that a double keeps exactly
# With a point, before and behind it together: so many survive being read as a double, and a
# number that is within its bounds as a text is within them as a double too.
EXACT_DIGITS = 15
FRACTION_DIGITS = 16  # of a bound
_MOST_REMAINDERS = 2_000
_DIGITS = tuple(range(10))


@dataclass(frozen=True)
class Limit:
    value: Fraction
    is_open: bool  # the value itself is outside

    def allows_above(self, number: Fraction) -> bool:
        return bool(number > self.value if self.is_open else number >= self.value)

    def allows_below(self, number: Fraction) -> bool:
        return bool(number < self.value if self.is_open else number <= self.value)


def is_decimal(value: Fraction) -> bool:
    """Whether it has a finite decimal expansion of at most FRACTION_DIGITS places."""
    return bool((value * 10**FRACTION_DIGITS).denominator == 1)


@lru_cache(maxsize=8)
def any_number(is_integer: bool | None) -> Automaton:
    """-?(0|[1-9]...) with up to WHOLE_DIGITS digits, and EXACT_DIGITS where there is a point.

    is_integer False: only numbers with a fraction that is not 0. There is no "-0".
    """

    def moves_of(state: tuple[str, int]) -> Iterable[tuple[int, int, tuple[str, int]]]:
        kind, count = state  # of digits; behind the point, of digits that may still come
        if kind == "start":
            yield ord("-"), ord("-"), ("sign", 0)
        if kind in ("start", "sign"):
            yield ord("0"), ord("0"), ("zero" if kind == "start" else "minus zero", 1)
            yield ord("1"), ord("9"), ("whole", 1)
        if kind == "whole" and count < WHOLE_DIGITS:
            yield ord("0"), ord("9"), ("whole", count + 1)
        places = EXACT_DIGITS - (count if kind == "whole" else 0)
        if kind in ("zero", "whole", "minus zero") and is_integer is not True and places > 0:
            must_differ = kind == "minus zero" or is_integer is False
            yield ord("."), ord("."), ("only zeros" if must_differ else "point", places)
        if kind in ("point", "places", "only zeros") and count > 0:
            yield ord("0"), ord("0"), ("only zeros" if kind == "only zeros" else "places", count - 1)
            yield ord("1"), ord("9"), ("places", count - 1)

    def is_accepting(state: tuple[str, int]) -> bool:
        if state[0] in ("zero", "whole"):
            return is_integer is not False
        return state[0] == "places"

    def sorted_moves(state: tuple[str, int]) -> list[tuple[int, int, tuple[str, int]]]:
        return sorted(moves_of(state))

    return explore(("start", 0), sorted_moves, is_accepting)


@lru_cache(maxsize=128)
def at_least(limit: Limit) -> Automaton:
    """Texts of any_number(None) that are not below the limit, among other texts that are no numbers."""
    if limit.value < 0:
        below = _from(Limit(-limit.value, not limit.is_open))
        return _with_sign(negative=complement(below), positive=None)
    positive = _from(limit)
    return _with_sign(negative=False, positive=positive)


@lru_cache(maxsize=128)
def at_most(limit: Limit) -> Automaton:
    if limit.value < 0 or (limit.value == 0 and limit.is_open):
        return _with_sign(negative=_from(Limit(-limit.value, limit.is_open)), positive=False)
    above = _from(Limit(limit.value, not limit.is_open))
    return _with_sign(negative=None, positive=complement(above))


def _with_sign(*, negative: Automaton | bool | None, positive: Automaton | bool | None) -> Automaton:
    """What follows "-" is in `negative`, a text without it in `positive`; None: whatever it is."""

    def moves_of(state: tuple[str, int]) -> Iterable[tuple[int, int, tuple[str, int]]]:
        kind, number = state
        here = negative if kind == "-" else positive
        found: list[tuple[int, int, tuple[str, int]]] = []
        if kind == "start":
            if negative is not False:
                found.append((ord("-"), ord("-"), ("-", 0)))
            kind = "+"
        if isinstance(here, Automaton):
            found += [
                (first, last, (kind, to)) for first, last, to in here.moves[number] if first != ord("-")
            ]
        elif here is None:
            found += [(ord("."), ord("."), (kind, 0)), (ord("0"), ord("9"), (kind, 0))]
        return sorted(found)

    def is_accepting(state: tuple[str, int]) -> bool:
        here = negative if state[0] == "-" else positive
        if state[0] == "start":
            return False
        return here.accepting[state[1]] if isinstance(here, Automaton) else here is None

    return explore(("start", 0), moves_of, is_accepting)


Place = tuple[str, int, int]  # "whole" or "places", digits read of it, order so far: -1, 0 or 1


def _from(limit: Limit) -> Automaton:
    """Texts without a sign that are not below a limit of at least 0.

    Texts that are no numbers may be among them.
    """
    comparison = _Comparison(*_digits(limit.value), limit.is_open)
    return explore(("whole", 0, 0), comparison.moves_of, comparison.is_accepting)


@dataclass(frozen=True)
class _Comparison:
    """Digit by digit with a limit's digits; how many there are before the point decides first."""

    whole: str
    places: str
    is_open: bool

    def moves_of(self, state: Place) -> Iterable[tuple[int, int, Place]]:
        kind, count, order = state
        if kind == "whole" and count:
            yield ord("."), ord("."), ("places", 0, self._order_of_whole(count, order))
        expected = self.whole if kind == "whole" else self.places
        for digit in _DIGITS:
            other = int(expected[count]) if count < len(expected) else 0
            after = (kind, min(count + 1, len(expected) + 1), order or _sign(digit, other))
            yield ord("0") + digit, ord("0") + digit, after

    def is_accepting(self, state: Place) -> bool:
        kind, count, order = state
        if kind == "whole":
            order, count = self._order_of_whole(count, order), 0
        if not order and self.places[count:].strip("0"):
            order = -1
        return order > 0 or (order == 0 and not self.is_open)

    def _order_of_whole(self, count: int, order: int) -> int:
        """Longer is more, shorter is less."""
        return _sign(count, len(self.whole)) or order


def _digits(value: Fraction) -> tuple[str, str]:
    """Digits before the point, and after it without zeros at the end."""
    whole, rest = divmod(value, 1)
    places = str(int(rest * 10**FRACTION_DIGITS)).rjust(FRACTION_DIGITS, "0").rstrip("0") if rest else ""
    return str(whole), places


def _sign(left: int, right: int) -> int:
    return (left > right) - (left < right)


@lru_cache(maxsize=64)
def multiples_of(step: Fraction) -> Automaton | None:
    """Texts, with or without a sign, that are multiples of `step`; None: it would be too large."""
    places = 0
    while (step * 10**places).denominator != 1:
        places += 1
        if places > FRACTION_DIGITS:
            return None
    divisor = int(step * 10**places)
    if divisor * (places + 1) > _MOST_REMAINDERS:
        return None

    def moves_of(state: tuple[int, int]) -> Iterable[tuple[int, int, tuple[int, int]]]:
        count, remainder = state  # count -1: before the point
        if count < 0:
            yield ord("-"), ord("-"), state
            yield ord("."), ord("."), (0, remainder)
        for digit in _DIGITS if count < places else (0,):
            after = remainder if count >= places else (remainder * 10 + digit) % divisor
            following = min(count + 1, places) if count >= 0 else -1
            yield ord("0") + digit, ord("0") + digit, (following, after)

    def is_accepting(state: tuple[int, int]) -> bool:
        count, remainder = state
        return bool(remainder * 10 ** (places - max(count, 0)) % divisor == 0)

    return explore((-1, 0), moves_of, is_accepting)


def number_automaton(
    is_integer: bool | None, low: Limit | None, high: Limit | None, steps: tuple[Fraction, ...]
) -> Automaton | None:
    """None: a bound has too many decimal places, or a step is too large. Raises TooManyStates."""
    found = any_number(is_integer)
    for limit in (low, high):
        if limit is not None and not is_decimal(limit.value):
            return None
    if low is not None:
        found = intersection(found, at_least(low))
    if high is not None:
        found = intersection(found, at_most(high))
    for step in steps:
        multiples = multiples_of(step)
        if multiples is None:
            return None
        found = intersection(found, multiples)
    return found
