"""Rules of a grammar under construction, and their GBNF text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .bounds import MOST_GRAMMAR_BYTES, MOST_RULES, refuse
from .char_sets import CharSet

_BLOCK = 64  # repetitions in one step; each level of blocks multiplies by it
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CLASS_ESCAPES = {**_ESCAPES, "]": "\\]", "[": "\\[", "-": "\\-", "^": "\\x5E"}


@dataclass(frozen=True)
class Words:
    text: str


@dataclass(frozen=True)
class OneOf:
    chars: CharSet


@dataclass(frozen=True)
class Ref:
    name: str


@dataclass(frozen=True)
class Times:
    """A rule, `least` to `most` times; None: any number."""

    name: str
    least: int
    most: int | None


Item = Words | OneOf | Ref | Times
Row = tuple[Item, ...]


@dataclass
class Rules:
    rows: dict[str, list[Row]] = field(default_factory=dict)
    # Rules in which one text can be read in several ways, and the rules that follow in each.
    conflicts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def new(self, prefix: str) -> str:
        """A name that no rule has yet; its rows are to be added."""
        name = f"{prefix}-{len(self.rows)}"
        self.rows[name] = []
        if len(self.rows) > MOST_RULES:
            raise refuse("", f"its grammar has more than {MOST_RULES} rules", "simplify the schema")
        return name

    def add(self, name: str, *rows: Row) -> None:
        self.rows.setdefault(name, []).extend(rows)

    def repeated(self, name: str, least: int, most: int | None) -> Row:
        """`name` so many times, as items that llama.cpp takes: it writes repetitions out.

        Large numbers become blocks of blocks: {0,65536} is 1023 blocks of 64 and then up to 64 more.
        A text can be read in at most a few of these ways at the same time.
        """
        items = list(self._exactly(name, least))
        if most is None:
            items.append(Times(name, 0, None))
        elif most > least:
            items += self._up_to(name, most - least)
        return tuple(items)

    def _exactly(self, name: str, count: int) -> Iterator[Item]:
        if count > _BLOCK:
            yield from self._exactly(self._block(name), count // _BLOCK)
            count %= _BLOCK
        if count:
            yield Times(name, count, count)

    def _up_to(self, name: str, count: int) -> Iterator[Item]:
        if count >= 2 * _BLOCK:
            blocks = (count - _BLOCK + 1) // _BLOCK
            yield from self._up_to(self._block(name), blocks)
            count -= blocks * _BLOCK
        yield Times(name, 0, count)

    def _block(self, name: str) -> str:
        block = f"{name}-x{_BLOCK}"
        if block not in self.rows:
            self.add(block, (Times(name, _BLOCK, _BLOCK),))
        return block

    def prune(self, root: str) -> bool:
        """Drop what leads to no finished text; whether `root` still has one."""
        finished = self._finished()
        for name, rows in self.rows.items():
            self.rows[name] = [
                tuple(item for item in row if not isinstance(item, Times) or item.name in finished)
                for row in rows
                if finished.issuperset(_needed(row))
            ]
        return root in finished

    def _finished(self) -> set[str]:
        """Rules that have a finished text."""
        users: dict[str, list[tuple[str, int]]] = {}
        missing: dict[tuple[str, int], int] = {}
        todo: list[str] = []
        for name, rows in self.rows.items():
            for index, row in enumerate(rows):
                needed = set(_needed(row))
                missing[name, index] = len(needed)
                for other in needed:
                    users.setdefault(other, []).append((name, index))
                if not needed:
                    todo.append(name)
        found: set[str] = set()
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found.add(name)
            for user in users.get(name, ()):
                missing[user] -= 1
                if not missing[user]:
                    todo.append(user[0])
        return found

    def reachable(self, root: str) -> list[str]:
        """Names, in the order in which they are first referred to."""
        found = dict.fromkeys([root])
        order = [root]
        for name in order:
            for row in self.rows[name]:
                for other in _referred(row):
                    if other not in found:
                        found[other] = None
                        order.append(other)
        return order

    def text(self, root: str) -> str:
        """GBNF with `root` as "root". Raises OptionInvalid where it is larger than the bound."""
        names = {name: name for name in self.reachable(root)}
        names[root] = "root"
        lines = [
            f"{shown} ::= " + " | ".join(_row_text(row, names) for row in dict.fromkeys(self.rows[name]))
            for name, shown in names.items()
        ]
        text = "\n".join(lines) + "\n"
        if len(text) > MOST_GRAMMAR_BYTES:
            raise refuse("", f"its grammar is larger than {MOST_GRAMMAR_BYTES} bytes", "simplify the schema")
        return text


def _needed(row: Row) -> Iterator[str]:
    for item in row:
        if isinstance(item, Ref) or (isinstance(item, Times) and item.least):
            yield item.name


def _referred(row: Row) -> Iterator[str]:
    return (item.name for item in row if isinstance(item, (Ref, Times)))


def _row_text(row: Row, names: dict[str, str]) -> str:
    return " ".join(_item_text(item, names) for item in row) or '""'


def _item_text(item: Item, names: dict[str, str]) -> str:
    if isinstance(item, Words):
        return '"' + "".join(_char(char, _ESCAPES) for char in item.text) + '"'
    if isinstance(item, OneOf):
        return "[" + "".join(_ranges(item.chars)) + "]"
    if isinstance(item, Ref):
        return names[item.name]
    if item.most is None:
        return names[item.name] + ("*" if not item.least else f"{{{item.least},}}")
    if (item.least, item.most) == (0, 1):
        return names[item.name] + "?"
    bounds = str(item.least) if item.least == item.most else f"{item.least},{item.most}"
    return f"{names[item.name]}{{{bounds}}}"


def _ranges(chars: Iterable[tuple[int, int]]) -> Iterator[str]:
    for first, last in chars:
        yield _char(chr(first), _CLASS_ESCAPES)
        if last > first:
            yield ("-" if last > first + 1 else "") + _char(chr(last), _CLASS_ESCAPES)


def _char(char: str, escapes: dict[str, str]) -> str:
    code = ord(char)
    if char in escapes:
        return escapes[char]
    if 0x20 <= code < 0x7F or (code > 0xA0 and char.isprintable()):
        return char
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
