"""Reading of GBNF, llama.cpp's notation of grammars, without recursion.

It follows llama_grammar_parser in llama.cpp's src/llama-grammar.cpp: what that accepts is
accepted here, up to the bounds, and what it refuses is refused with the line and the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from ...errors import OptionInvalid
from .bounds import (
    MOST_ELEMENTS,
    MOST_GRAMMAR_BYTES,
    MOST_NESTING,
    MOST_REPETITIONS,
    MOST_RULES,
    grammar_refused,
    shown,
)

_NAME = re.compile(r"[A-Za-z0-9-]+")
_BLANK = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_TOKEN = re.compile(r"!?<(?:\[[0-9]{1,9}\]|[^>\x00]+)>")
_TIMES = re.compile(r"\{[ \t]*([0-9]{1,15})[ \t]*(,)?[ \t]*([0-9]{1,15})?[ \t]*\}")
_CHAR = re.compile(r'\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[trn\\"\[\]-])|[^\\]', re.DOTALL)

_ABOUT_NAMES = "names of rules are of letters, digits and -"


@dataclass
class Symbol:
    """One item of a sequence. Without a rule it is characters or a token."""

    size: int  # elements in llama.cpp's memory
    rule: str = ""
    least: int = 1
    most: int | None = 1
    made_rules: int = 1  # that llama.cpp makes for it: it bounds repetitions by their number
    is_empty: bool = False  # ""


Sequence = list[Symbol]


@dataclass
class Grammar:
    rules: dict[str, list[Sequence]] = field(default_factory=dict)  # groups are rules of their own
    tokens: list[tuple[int, int]] = field(default_factory=list)  # where <token> stands in the text
    line_of: dict[str, int] = field(default_factory=dict)  # of each rule, and of the first use of a name


def read_grammar(text: str) -> Grammar:
    """Raises OptionInvalid, naming line and column."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise grammar_refused(
            f"character {error.start} is half a surrogate pair, which is no text",
            "write the character itself",
        ) from None
    if size > MOST_GRAMMAR_BYTES:
        raise grammar_refused(f"{size} bytes, at most {MOST_GRAMMAR_BYTES}", "give a smaller grammar")
    return _Reader(text).read()


@dataclass
class _Open:
    """A rule, or a group inside it, that is being read."""

    name: str
    alternatives: list[Sequence]
    rules_before: int


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._position = text, 0
        self._grammar = Grammar()
        self._open: list[_Open] = []
        self._elements = 0
        self._made = 0  # rules that llama.cpp would have by now
        self._counted = 0, 1  # a position, and the line it is in

    def read(self) -> Grammar:
        self._skip(lines=True)
        while self._position < len(self._text):
            self._rule()
        rules = self._grammar.rules
        if not rules:
            raise grammar_refused("it is empty, and would constrain nothing", 'give a rule named "root"')
        for name, line in self._grammar.line_of.items():
            if name not in rules:
                raise grammar_refused(
                    f"line {line}: there is no rule {shown(repr(name))}", "add it, or correct the name"
                )
        if "root" not in rules:
            raise grammar_refused('there is no rule named "root"', "name the rule to begin with root")
        return self._grammar

    def _fail(self, reason: str, hint: str = "") -> NoReturn:
        raise self._failure(reason, hint)

    def _failure(self, reason: str, hint: str = "") -> OptionInvalid:
        before = self._text[: self._position]
        column = self._position - before.rfind("\n")
        return grammar_refused(f"line {before.count(chr(10)) + 1}, column {column}: {reason}", hint)

    def _skip(self, *, lines: bool) -> None:
        found = (_BLANK_LINES if lines else _BLANK).match(self._text, self._position)
        self._position = found.end() if found else self._position

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._position)
        if found:
            self._position = found.end()
        return found

    def _line(self) -> int:
        counted, line = self._counted
        line += self._text.count("\n", counted, self._position)
        self._counted = self._position, line
        return line

    def _rule(self) -> None:
        start = self._position
        found = self._match(_NAME)
        if not found:
            self._fail("a rule must begin with its name", _ABOUT_NAMES)
        name, line = found[0], self._line()
        self._skip(lines=False)
        if not self._text.startswith("::=", self._position):
            self._fail(f"expected ::= behind {shown(repr(name))}", _ABOUT_NAMES)
        if name in self._grammar.rules:
            self._position = start
            self._fail(f"the rule {shown(repr(name))} is defined twice", "join both with |")
        self._position += 3
        self._skip(lines=True)
        self._grammar.rules[name] = []
        self._grammar.line_of.setdefault(name, line)
        self._open = [_Open(name, [[]], self._made)]
        self._made += 1
        self._body()
        self._grammar.rules[name] = self._open[0].alternatives
        if self._position < len(self._text) and self._text[self._position] not in "\r\n":
            self._fail(f"unexpected {self._text[self._position]!r}", _ABOUT_NAMES)
        self._skip(lines=True)

    def _body(self) -> None:
        """Up to the end of the rule's last line."""
        text = self._text
        while self._position < len(text):
            char = text[self._position]
            if char in '"[.<!' or _NAME.match(char):
                self._symbol(char)
            elif char in "*+?{":
                self._repeat(char)
            elif char == "|":
                self._position += 1
                self._open[-1].alternatives.append([])
                self._skip(lines=True)
                continue
            elif char == "(":
                self._begin_group()
                continue
            elif char == ")" and len(self._open) > 1:
                self._end_group()
            else:
                break
            self._skip(lines=len(self._open) > 1)
        if len(self._open) > 1:
            self._fail("a ( without )")

    def _begin_group(self) -> None:
        if len(self._open) > MOST_NESTING:
            self._fail(f"groups nested more than {MOST_NESTING} deep", "give inner groups rules of their own")
        if len(self._grammar.rules) >= MOST_RULES:
            self._fail(f"more than {MOST_RULES} rules and groups", "give a smaller grammar")
        self._position += 1
        name = f"{self._open[0].name}_{len(self._grammar.rules)}"  # no name of a grammar has a _
        self._grammar.rules[name] = []
        self._open.append(_Open(name, [[]], self._made))
        self._made += 1
        self._skip(lines=True)

    def _end_group(self) -> None:
        self._position += 1
        group = self._open.pop()
        self._grammar.rules[group.name] = group.alternatives
        made = max(1, self._made - group.rules_before)
        self._add(Symbol(1, group.name, made_rules=made))

    def _add(self, symbol: Symbol) -> None:
        self._open[-1].alternatives[-1].append(symbol)
        self._count(symbol.size)

    def _count(self, elements: int) -> None:
        self._elements += elements
        if self._elements > MOST_ELEMENTS or len(self._grammar.rules) > MOST_RULES:
            self._fail(
                f"more than {MOST_ELEMENTS} characters and rules, with repetitions written out",
                "repeat less",
            )

    def _symbol(self, char: str) -> None:
        if char == '"':
            self._literal()
        elif char == "[":
            self._class()
        elif char == ".":
            self._position += 1
            self._add(Symbol(1))
        elif char in "<!":
            start = self._position
            if not self._match(_TOKEN):
                self._fail("no token: expected <...>")
            self._grammar.tokens.append((start, self._position))
            self._add(Symbol(1))
        else:
            line, found = self._line(), self._match(_NAME)
            name = found[0] if found else ""
            self._grammar.line_of.setdefault(name, line)
            self._add(Symbol(1, name))

    def _literal(self) -> None:
        self._position += 1
        size = 0
        while not self._text.startswith('"', self._position):
            self._char('a " is missing')
            size += 1
        self._position += 1
        self._add(Symbol(size, is_empty=size == 0))

    def _class(self) -> None:
        self._position += 2 if self._text.startswith("[^", self._position) else 1
        size = 0
        while not self._text.startswith("]", self._position):
            self._char("a ] is missing")
            size += 1
            if self._text.startswith("-", self._position) and not self._text.startswith("-]", self._position):
                self._position += 1
                self._char("a ] is missing")
                size += 1
        if not size:
            self._fail("a class without characters")
        self._position += 1
        self._add(Symbol(size))

    def _char(self, missing: str) -> None:
        found = self._match(_CHAR)
        if not found:
            at_end = self._position >= len(self._text)
            self._fail(missing if at_end else "an unknown escape", "write a backslash as \\\\")
        if found[0] in ("\0", "\\x00", "\\u0000", "\\U00000000"):
            self._fail("the character NUL")
        if found[0].startswith("\\") and len(found[0]) > 2:
            code = int(found[0][2:], 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                self._fail(f"{found[0]} is no character", "write it itself, or as \\U and 8 hex digits")

    def _repeat(self, char: str) -> None:
        sequence = self._open[-1].alternatives[-1]
        if not sequence or sequence[-1].is_empty:
            self._fail(f"there is nothing for {char} to repeat")
        if char == "{":
            found = self._match(_TIMES)
            if not found or (found[3] and not found[2]):
                self._fail("expected {n}, {n,} or {n,m}")
            least = int(found[1])
            most = int(found[3]) if found[3] else None if found[2] else least
        else:
            self._position += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        self._check_repeat(least, most, sequence[-1])
        self._apply(sequence, least, most)

    def _check_repeat(self, least: int, most: int | None, last: Symbol) -> None:
        if most is not None and most < least:
            self._fail(f"{{{least},{most}}} is out of order")
        times = (most or 0) if most is not None else least
        if times > MOST_REPETITIONS or last.made_rules * max(times, 1) > MOST_REPETITIONS:
            self._fail(
                f"more than {MOST_REPETITIONS} repetitions, those of inner groups included",
                "repeat a rule of its own that repeats: x ::= y{64}, and then x{0,16}",
            )

    def _apply(self, sequence: Sequence, least: int, most: int | None) -> None:
        last = sequence[-1]
        optional = 1 if most is None else most - least
        self._count(last.size * (least + optional) + 3 * optional)
        self._made += optional
        if last.least == last.most == 1 and last.rule:
            last.least, last.most = least, most
        else:  # characters, or a repetition that is repeated: a rule of its own
            name = f"{self._open[0].name}_{len(self._grammar.rules)}"
            self._grammar.rules[name] = [
                [Symbol(last.size, last.rule, last.least, last.most, 1, last.is_empty)]
            ]
            sequence[-1] = last = Symbol(last.size, name, least, most, last.made_rules)
        last.size = last.size * least + 1
        last.made_rules *= max(most or 0, least, 1)
