"""Rules of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .algebra import are_disjoint, first_integer, last_integer
from .alternatives import NOTHING, Array, Contains, Form, Literal, Number, Place, Places, literal
from .basic_rules import BLANK
from .bounds import MOST_OBJECT_STATES, refuse
from .object_keys import FormOf
from .rules import Ref, Row, Rules, Words

_MOST_IN_ANY_ORDER = 8  # different values of an array without duplicates: 2^8 states
_MOST_VALUES = 200


class ArrayWriter:
    """Writes the rules of one array."""

    def __init__(
        self, rules: Rules, item: Array, form_of: FormOf, value_rule: Callable[[Places], str]
    ) -> None:
        self._rules, self._item, self._form_of, self._value_rule = rules, item, form_of, value_rule
        self._names: dict[object, str] = {}
        self._prefix = item.prefix_length
        self._most = self._longest()

    def _longest(self) -> int | None:
        """maxItems, or the first position for which there is no value."""
        most = self._item.most
        for index in range(self._prefix + 1):
            if (most is None or index < most) and not self._form_of(self._item.item(index)):
                return index
        return most

    def rows(self) -> list[Row]:
        item = self._item
        if self._most is not None and self._most < item.least:
            return []
        if self._most == 0:
            return [(Words("["), BLANK, Words("]"))] if not any(c.least for c in item.contains) else []
        if item.contains:
            return self._containing()
        if item.unique and self._most != 1 and not self._is_unique_anyway():
            return self._without_duplicates()
        self._write_positions()
        return [(Words("["), BLANK, *row) for row in self._items_from(0)]

    def _items_from(self, index: int) -> list[Row]:
        """What may come behind `index` items and, at 0, the bracket."""
        item = self._item
        found: list[Row] = []
        if index >= item.least:
            found.append((Words("]"),) if index == 0 else (BLANK, Words("]")))
        if self._most is not None and index >= self._most:
            return found
        value = self._value_rule(item.item(index))
        comma: Row = () if index == 0 else (Words(","), BLANK)
        if index >= self._prefix:
            return self._loop(index, value)
        found.append((*comma, Ref(value), Ref(self._names[index + 1])))
        return found

    def _write_positions(self) -> None:
        """A rule for what comes behind each number of items that has an item of its own next."""
        last = self._prefix if self._most is None else min(self._prefix, self._most)
        for index in range(last, 0, -1):
            self._names[index] = name = self._rules.new("arr")
            self._rules.add(name, *self._items_from(index))

    def _loop(self, index: int, value: str) -> list[Row]:
        more = f"{value}-more"
        if more not in self._rules.rows:
            self._rules.add(more, (Words(","), BLANK, Ref(value)))
        least, most = max(self._item.least - index, 0), None if self._most is None else self._most - index
        if index:
            return [(*self._rules.repeated(more, least, most), BLANK, Words("]"))]
        rest = self._rules.repeated(more, max(least - 1, 0), None if most is None else most - 1)
        found: list[Row] = [(Ref(value), *rest, BLANK, Words("]"))]
        return found if least else [*found, (Words("]"),)]

    # --- contains -----------------------------------------------------------------------

    def _containing(self) -> list[Row]:
        """A state: how many items there are, and how many of them are known to be such."""
        item = self._item
        contains = item.contains[0]
        if len(item.contains) > 1 or (item.unique and self._most != 1):
            reason = "with uniqueItems or a second contains it cannot be kept"
            raise refuse(contains.pointer, reason, "keep one of them")
        positions = max(self._prefix, item.least, self._most or 0, 1) + 1
        counts = (contains.least if contains.most is None else contains.most) + 1
        if positions * counts > MOST_OBJECT_STATES:
            raise refuse(contains.pointer, "it needs too many states", "give smaller bounds")
        self._positions = positions - 1
        start = self._state(0, 0)
        todo = [(0, 0)]
        while todo:
            index, count = todo.pop()
            rows = list(self._contains_rows(contains, index, count, todo))
            self._rules.add(self._names[index, count], *rows)
        return [(Words("["), BLANK, start)]

    def _state(self, *key: int) -> Ref:
        if key not in self._names:
            self._names[key] = self._rules.new("arr")
        return Ref(self._names[key])

    def _contains_rows(
        self, contains: Contains, index: int, count: int, todo: list[tuple[int, int]]
    ) -> Iterator[Row]:
        item = self._item
        if index >= item.least and count >= contains.least:
            yield (Words("]"),) if index == 0 else (BLANK, Words("]"))
        if self._most is not None and index >= self._most:
            return
        comma: Row = () if index == 0 else (Words(","), BLANK)
        places = item.item(index)
        others = places if contains.most is None else places | _not(contains.item)
        choices = []
        if count < (contains.least if contains.most is None else contains.most):
            choices.append((places | contains.item, count + 1))
        choices.append((others, count))
        values = []
        for value, after in choices:
            if self._form_of(value):
                key = (min(index + 1, self._positions), after)
                if key not in self._names:
                    todo.append(key)
                values.append(self._value_rule(value))
                yield (*comma, Ref(values[-1]), self._state(*key))
        if len(values) > 1:
            self._rules.conflicts.append((self._names[index, count], tuple(values)))

    # --- uniqueItems --------------------------------------------------------------------

    def _is_unique_anyway(self) -> bool:
        """Whether all positions have different values: a list of fixed length, of different kinds."""
        if self._most is None or self._most > self._prefix:
            return False
        forms = [self._form_of(self._item.item(index)) for index in range(self._most)]
        return all(
            are_disjoint(left, right, self._form_of)
            for number, left in enumerate(forms)
            for right in forms[:number]
        )

    def _without_duplicates(self) -> list[Row]:
        values = listed_values(self._form_of(self._item.item(self._prefix)))
        if self._prefix or values is None:
            raise refuse(
                self._item.unique,
                f"only of items with at most {_MOST_VALUES} listed values duplicates can be kept out",
                'give "enum" to "items", or leave uniqueItems out and remove duplicates afterwards',
            )
        most = len(values) if self._most is None else min(self._most, len(values))
        if most < self._item.least:
            return []
        if len(values) > _MOST_IN_ANY_ORDER:
            return [(Words("["), BLANK, self._in_order(values, 0, 0, most))]
        return [(Words("["), BLANK, self._in_any_order(values, frozenset(range(len(values))), most))]

    def _in_any_order(self, values: list[str], left: frozenset[int], most: int) -> Ref:
        if left not in self._names:
            self._names[left] = name = self._rules.new("arr")
            count = len(values) - len(left)
            rows = [self._end(count)] if count >= self._item.least else []
            for number in sorted(left) if count < most else ():
                after = self._in_any_order(values, left - {number}, most)
                rows.append((*self._comma(count), Words(values[number]), after))
            self._rules.add(name, *rows)
        return Ref(self._names[left])

    def _in_order(self, values: list[str], first: int, count: int, most: int) -> Ref:
        """With many values only in the order of the schema, from `first` on."""
        for number in range(len(values), first - 1, -1):
            for written in range(min(number, most), -1, -1):
                if ("ordered", number, written) not in self._names:
                    self._names["ordered", number, written] = name = self._rules.new("arr")
                    self._rules.add(name, *self._ordered_rows(values, number, written, most))
        return Ref(self._names["ordered", first, count])

    def _ordered_rows(self, values: list[str], number: int, written: int, most: int) -> Iterator[Row]:
        """From the value `number` on: it, or what comes behind it, or the end."""
        if number == len(values):
            if written >= self._item.least:
                yield self._end(written)
            return
        yield (Ref(self._names["ordered", number + 1, written]),)
        if written < most:
            after = Ref(self._names["ordered", number + 1, written + 1])
            yield (*self._comma(written), Words(values[number]), after)

    def _end(self, count: int) -> Row:
        return (BLANK, Words("]")) if count else (Words("]"),)

    def _comma(self, count: int) -> Row:
        return (Words(","), BLANK) if count else ()


def _not(places: Places) -> Places:
    if not places:
        return NOTHING
    return frozenset(Place(place.pointer, not place.is_meant) for place in places)


def listed_values(form: Form) -> list[str] | None:
    """All members as JSON text; None where they are too many or not known one by one."""
    found: list[str] = []
    for item in form:
        if isinstance(item, Literal):
            found.append(item.text)
        elif isinstance(item, Number) and item.is_integer and item.low and item.high:
            first, last = first_integer(item.low), last_integer(item.high)
            if last - first >= _MOST_VALUES:
                return None
            numbers = range(first, last + 1)
            found += [
                literal(number).text
                for number in numbers
                if all((number / step).denominator == 1 for step in item.steps)
            ]
        else:
            return None
    return list(dict.fromkeys(found)) if len(found) <= _MOST_VALUES else None
