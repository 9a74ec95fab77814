"""Reading of regular expressions as JSON Schema writes them (ECMA-262, with Unicode code points)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .bounds import MOST_NESTING
from .char_sets import DIGIT, LINE_END, SPACE, WORD, CharSet, all_but, category, char_set

MOST_TIMES = 10_000  # in {n,m}


class RegexRefused(Exception):
    """The text says why."""


@dataclass(frozen=True)
class Chars:
    chars: CharSet


@dataclass(frozen=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    part: Node
    least: int
    most: int | None


@dataclass(frozen=True)
class Anchor:
    at_end: bool


Node = Chars | Sequence | Choice | Repeat | Anchor
_CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE, "D": all_but(DIGIT), "W": all_but(WORD), "S": all_but(SPACE)}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_TIMES = re.compile(r"\{(\d+)(,(\d*))?\}", re.ASCII)
_GROUP = re.compile(r"\?:|\?P?<[A-Za-z_$][\w$]*>")
_LOOKAROUND = ("?=", "?!", "?<=", "?<!")


def read_regex(text: str) -> Node:
    """Raises RegexRefused for what is wrong, and for what no automaton of bounded size can keep."""
    reader = _Reader(text)
    node = reader.choice(0)
    if reader.position < len(text):
        raise RegexRefused(f"unmatched ) at character {reader.position}")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0

    def _take(self, token: str) -> bool:
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def _next(self) -> str:
        if self.position >= len(self.text):
            raise RegexRefused("it ends in the middle of something")
        self.position += 1
        return self.text[self.position - 1]

    def choice(self, depth: int) -> Node:
        if depth > MOST_NESTING:
            raise RegexRefused(f"groups nested more than {MOST_NESTING} deep")
        options = [self._sequence(depth)]
        while self._take("|"):
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.position < len(self.text) and self.text[self.position] not in "|)":
            parts.append(self._repeated(self._atom(depth)))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, atom: Node) -> Node:
        least, most = 1, 1  # type: int, int | None
        if self._take("*"):
            least, most = 0, None
        elif self._take("+"):
            least, most = 1, None
        elif self._take("?"):
            least, most = 0, 1
        elif found := _TIMES.match(self.text, self.position):
            self.position = found.end()
            least = int(found[1])
            most = least if not found[2] else int(found[3]) if found[3] else None
        else:
            return atom
        if isinstance(atom, Anchor):
            raise RegexRefused("a quantifier on ^ or $")
        self._take("?")  # a lazy one matches the same texts
        if self.text[self.position : self.position + 1] in ("*", "+", "?"):
            raise RegexRefused(f"a second quantifier at character {self.position}")
        if max(least, most or 0) > MOST_TIMES:
            raise RegexRefused(f"more than {MOST_TIMES} repetitions")
        if most is not None and most < least:
            raise RegexRefused(f"{{{least},{most}}} is out of order")
        return Repeat(atom, least, most)

    def _atom(self, depth: int) -> Node:
        char = self._next()
        if char == "(":
            return self._group(depth)
        if char == "[":
            return Chars(self._class())
        if char == "\\":
            return Chars(self._escape())
        if char in "^$":
            return Anchor(char == "$")
        if char == ".":
            return Chars(all_but(LINE_END))
        if char in "*+?":
            raise RegexRefused(f"nothing to repeat at character {self.position - 1}")
        return Chars(char_set([(ord(char), ord(char))]))

    def _group(self, depth: int) -> Node:
        if self.text.startswith(_LOOKAROUND, self.position):
            raise RegexRefused("look-ahead and look-behind are not supported")
        if found := _GROUP.match(self.text, self.position):
            self.position = found.end()
        elif self.text.startswith("?", self.position):
            raise RegexRefused(f"an unknown kind of group at character {self.position - 1}")
        inside = self.choice(depth + 1)
        if not self._take(")"):
            raise RegexRefused("a ( without )")
        return inside

    def _escape(self, inside_class: bool = False) -> CharSet:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "pP":
            return self._property(negated=char == "P")
        if char == "b" and inside_class:
            return ((8, 8),)
        if char in "bB":
            raise RegexRefused(f"\\{char} (word boundary) is not supported")
        code = self._code_point(char)
        return char_set([(code, code)])

    def _code_point(self, char: str) -> int:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "0" and not self.text[self.position : self.position + 1].isdigit():
            return 0
        if char == "c" and self.text[self.position : self.position + 1].isalpha():
            return ord(self._next()) % 32
        if char == "x":
            return self._hex(2)
        if char == "u":
            return self._unicode()
        if char.isalnum():
            kind = "back references are" if char.isdigit() or char == "k" else f"the escape \\{char} is"
            raise RegexRefused(f"{kind} not supported")
        return ord(char)

    def _unicode(self) -> int:
        if self._take("{"):
            end = self.text.find("}", self.position)
            return self._hex(max(end - self.position, 1), closing="}")
        code = self._hex(4)
        if 0xD800 <= code < 0xDC00 and self._take("\\u"):
            low = self._hex(4)
            if not 0xDC00 <= low < 0xE000:
                raise RegexRefused(f"half a surrogate pair: \\u{code:04x}")
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        return code

    def _hex(self, digits: int, closing: str = "") -> int:
        found = self.text[self.position : self.position + digits]
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", found) or int(found, 16) > 0x10FFFF:
            raise RegexRefused(f"no code point at character {self.position}: {found!r}")
        self.position += digits
        self._take(closing)
        return int(found, 16)

    def _property(self, negated: bool) -> CharSet:
        end = self.text.find("}", self.position)
        name = self.text[self.position : end] if self._take("{") and end > 0 else ""
        self.position = end + 1
        short = _CATEGORIES.get(name.rpartition("=")[2], name.rpartition("=")[2])
        chars = category(short) if re.fullmatch("[A-Z][a-z]?", short) else None
        if chars is None:
            raise RegexRefused(f"the Unicode property {name!r} is not supported")
        return all_but(chars) if negated else chars

    def _class(self) -> CharSet:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            first = self._class_member()
            if self.text.startswith("-", self.position) and not self.text.startswith("-]", self.position):
                self.position += 1
                last = self._class_member()
                if len(first) != 1 or len(last) != 1 or first[0][0] > last[0][0]:
                    raise RegexRefused(f"a range out of order at character {self.position}")
                ranges.append((first[0][0], last[0][1]))
            else:
                ranges += first
        found = char_set(ranges)
        return all_but(found) if negated else found

    def _class_member(self) -> CharSet:
        char = self._next()
        return self._escape(inside_class=True) if char == "\\" else char_set([(ord(char), ord(char))])


# The long names that ECMA-262 has for the general categories in use.
_CATEGORIES = {
    "Letter": "L",
    "Lowercase_Letter": "Ll",
    "Uppercase_Letter": "Lu",
    "Number": "N",
    "Decimal_Number": "Nd",
    "digit": "Nd",
    "Punctuation": "P",
    "Symbol": "S",
    "Separator": "Z",
    "Mark": "M",
}
