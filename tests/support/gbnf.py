"""An interpreter of GBNF that shares nothing with the product: it reads the text, and the text alone.

sample() draws a random text of a grammar, matches() says whether a text is one of it.
"""

from __future__ import annotations

import random
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_NAME = re.compile(r"[A-Za-z0-9-]+")
_TIMES = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_BLANK = re.compile(r"(?:[ \t]|#[^\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_ENDLESS = 12  # repetitions that sample() draws at most where there is no bound
_MOST_DRAWN = 40  # and where there is one


@dataclass(eq=False)
class Node:
    kind: str  # text, chars, rule, sequence, choice, repeat
    value: Any


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0

    def rules(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        self._skip(True)
        while self.position < len(self.text):
            name = self._take(_NAME)[0]
            self._skip(False)
            assert self.text.startswith("::=", self.position)
            self.position += 3
            self._skip(True)
            assert name not in found
            found[name] = self._choice(False)
            assert self.text[self.position : self.position + 1] in ("", "\n", "\r")
            self._skip(True)
        return found

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.position)
        assert found, self.text[self.position : self.position + 30]
        self.position = found.end()
        return found

    def _skip(self, lines: bool) -> None:
        self._take(_BLANK_LINES if lines else _BLANK)

    def _next(self) -> str:
        self.position += 1
        return self.text[self.position - 1]

    def _char(self) -> str:
        char = self._next()
        if char != "\\":
            return char
        code = self._next()
        if code in _HEX_DIGITS:
            start = self.position
            self.position += _HEX_DIGITS[code]
            return chr(int(self.text[start : self.position], 16))
        assert code in '\\"[]-nrt', code
        return _ESCAPES.get(code, code)

    def _choice(self, nested: bool) -> Node:
        options = [self._sequence(nested)]
        while self.text.startswith("|", self.position):
            self.position += 1
            self._skip(True)
            options.append(self._sequence(nested))
        return Node("choice", options)

    def _sequence(self, nested: bool) -> Node:
        parts: list[Node] = []
        while self.position < len(self.text):
            here = self.text[self.position]
            if here in "*+?{":
                parts[-1] = Node("repeat", (parts[-1], *self._times(here)))
            elif here in '"[.(' or _NAME.match(here):
                parts.append(self._item(here))
            else:
                break
            self._skip(nested)
        return Node("sequence", parts)

    def _times(self, here: str) -> tuple[int, int | None]:
        if here in _SIGNS:
            self.position += 1
            return _SIGNS[here]
        found = self._take(_TIMES)
        most = int(found[1]) if not found[2] else int(found[3]) if found[3] else None
        assert most is None or most <= 2000  # llama.cpp would take it as endless
        return int(found[1]), most

    def _item(self, here: str) -> Node:
        if here == '"':
            return self._text()
        if here == "[":
            return self._chars()
        if here == ".":
            self.position += 1
            return Node("chars", (True, []))
        if here == "(":
            self.position += 1
            self._skip(True)
            inside = self._choice(True)
            assert self._next() == ")"
            return inside
        return Node("rule", self._take(_NAME)[0])

    def _text(self) -> Node:
        self.position += 1
        found = ""
        while not self.text.startswith('"', self.position):
            found += self._char()
        self.position += 1
        return Node("text", found)

    def _chars(self) -> Node:
        self.position += 1
        negated = self.text.startswith("^", self.position)
        self.position += negated
        ranges = []
        while not self.text.startswith("]", self.position):
            first = last = self._char()
            if self.text[self.position] == "-" and self.text[self.position + 1] != "]":
                self.position += 1
                last = self._char()
            ranges.append((ord(first), ord(last)))
        self.position += 1
        return Node("chars", (negated, ranges))


class Gbnf:
    def __init__(self, text: str) -> None:
        self.rules = _Parser(text).rules()
        self._heights = self._rule_heights()

    def _rule_heights(self) -> dict[str, float]:
        """How deep each rule must go at least; drawing takes the lowest way out when it is deep."""
        heights = dict.fromkeys(self.rules, float("inf"))
        for _ in range(len(self.rules) + 1):
            before = dict(heights)
            for name, node in reversed(self.rules.items()):  # most refer to later ones
                heights[name] = 1 + self._height(node, heights)
            if heights == before:
                break
        return heights

    def _height(self, node: Node, heights: dict[str, float]) -> float:
        if node.kind == "rule":
            return heights[node.value]
        if node.kind == "sequence":
            return max((self._height(part, heights) for part in node.value), default=0)
        if node.kind == "choice":
            return min(self._height(part, heights) for part in node.value)
        if node.kind == "repeat":
            return self._height(node.value[0], heights) if node.value[1] else 0
        return 0

    def sample(self, draw: random.Random, most_depth: int = 60) -> str:
        out: list[str] = []
        todo: list[tuple[Node, int]] = [(self.rules["root"], 0)]
        while todo:
            node, depth = todo.pop()
            if node.kind == "text":
                out.append(node.value)
            elif node.kind == "chars":
                out.append(_draw_char(node, draw))
            else:
                todo += self._drawn(node, depth, draw, most_depth)
        return "".join(out)

    def _drawn(self, node: Node, depth: int, draw: random.Random, most_depth: int) -> list[tuple[Node, int]]:
        """What a node comes to, last part first."""
        is_deep = depth > most_depth
        if node.kind == "rule":
            return [(self.rules[node.value], depth + 1)]
        if node.kind == "sequence":
            return [(part, depth) for part in reversed(node.value)]
        if node.kind == "choice":
            options = node.value
            if is_deep:
                least = min(self._height(option, self._heights) for option in options)
                options = [option for option in options if self._height(option, self._heights) == least]
            return [(draw.choice(options), depth)]
        part, least, most = node.value
        extra = _ENDLESS if most is None else min(most - least, _MOST_DRAWN)
        if most is not None and not is_deep and draw.random() < 0.1:
            return [(part, depth)] * (least + extra)
        return [(part, depth)] * (least + (0 if is_deep else min(int(draw.expovariate(0.5)), extra)))

    def matches(self, text: str) -> bool:
        return _in_large_stack(lambda: _Matcher(self.rules, text).matches())


class _Matcher:
    """Where each node can end that begins at each place of the text."""

    def __init__(self, rules: dict[str, Node], text: str) -> None:
        self._rules, self._text = rules, text
        self._memo: dict[tuple[int, int], frozenset[int]] = {}

    def matches(self) -> bool:
        return len(self._text) in self._ends(self._rules["root"], 0)

    def _ends(self, node: Node, start: int) -> frozenset[int]:
        key = (id(node), start)
        if key not in self._memo:
            self._memo[key] = frozenset(self._found(node, start))
        return self._memo[key]

    def _all(self, node: Node, starts: set[int]) -> set[int]:
        return set().union(*(self._ends(node, start) for start in starts))

    def _found(self, node: Node, start: int) -> set[int]:
        if node.kind == "text":
            return {start + len(node.value)} if self._text.startswith(node.value, start) else set()
        if node.kind == "chars":
            inside = start < len(self._text) and _is_in(node, self._text[start])
            return {start + 1} if inside else set()
        if node.kind == "rule":
            return set(self._ends(self._rules[node.value], start))
        if node.kind == "choice":
            return set().union(*(self._ends(option, start) for option in node.value))
        if node.kind == "sequence":
            places = {start}
            for part in node.value:
                places = self._all(part, places)
            return places
        return self._repeated(node, start)

    def _repeated(self, node: Node, start: int) -> set[int]:
        part, least, most = node.value
        places, found = {start}, {start} if least == 0 else set()
        count = 0
        while places and (most is None or count < most):
            places = self._all(part, places)
            count += 1
            if count >= least:
                if places <= found:
                    break
                found |= places
        return found


def _draw_char(node: Node, draw: random.Random) -> str:
    negated, ranges = node.value
    if not negated:
        first, last = draw.choice(ranges)
        return chr(draw.randint(first, last))
    while True:
        found = chr(draw.choice((draw.randint(32, 126), draw.randint(0, 0xD7FF))))
        if _is_in(node, found):
            return found


def _is_in(node: Node, char: str) -> bool:
    negated, ranges = node.value
    return bool(negated != any(first <= ord(char) <= last for first, last in ranges))


def _in_large_stack(work: Callable[[], bool]) -> bool:
    """The recursion goes as deep as the text is long."""
    found: list[bool] = []
    before, limit = threading.stack_size(256 << 20), sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    try:
        thread = threading.Thread(target=lambda: found.append(work()))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
        sys.setrecursionlimit(limit)
    return found[0]
