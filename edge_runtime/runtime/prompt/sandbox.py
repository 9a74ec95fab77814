"""A Jinja environment for templates written by strangers.

Jinja's sandbox keeps a template away from Python's insides. What it leaves open
is using up the machine: "a" * 10**10, a string joined to itself forty times, a
replace() that squares a text, a list that holds itself twice sixty times over, a number
multiplied by itself, loops that never end. Those are closed here.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.filters import do_batch, do_round, sync_do_slice
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_CHARACTERS = 4_000_000  # of a prompt, and of any text on the way to it
# Methods and filters that can make a huge text out of a small one, and that chat templates do without.
_FORBIDDEN_METHODS = frozenset(
    ("ljust", "rjust", "center", "zfill", "format", "format_map", "expandtabs", "translate", "encode")
)
_FORBIDDEN_FILTERS = ("center", "format", "indent", "wordwrap", "xmlattr", "pprint", "urlize", "sum")
_FORBIDDEN_NUMBER_METHODS = frozenset(("to_bytes", "from_bytes"))
_LARGEST_NUMBER = 2**256
_CHARACTERS_AN_ITEM = 40  # so that looking through a list takes little time: 100,000 items at most
_MOST_ITEMS = 10_000  # that batch() and slice() make
_MOST_DIGITS = 15  # that round() keeps


class TookTooLong(BaseException):  # not an Exception: neither a template nor Jinja may catch it
    pass


class _Generator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's interface
        """`a ~ b` goes through the environment, so that its length is bounded."""
        self.write("environment.concat_bounded((")
        for argument in node.nodes:
            self.visit(argument, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        """Lists, tuples and objects that a template writes are measured: see require_small."""
        self._measured(super().visit_List, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._measured(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._measured(super().visit_Dict, node, frame)

    def _measured(self, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.write("environment.measured(")
        visit(node, frame)
        self.write(")")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    code_generator_class = _Generator
    intercepted_binops = frozenset(("*", "**", "%", "+"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _GenerationTag],
            finalize=require_small,
        )
        self.globals.pop("lipsum", None)
        for name in _FORBIDDEN_FILTERS:
            self.filters.pop(name, None)
        self.filters["replace"] = _replace
        self.filters["join"] = _join
        self.filters["string"] = _text
        self.filters["batch"], self.filters["slice"] = _batch, _slice
        self.filters["round"] = _round

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sides = (left, right)
        if operator == "+":
            _require_length(sum(len(side) for side in sides if isinstance(side, (str, list, tuple))))
        elif operator == "**" or not all(isinstance(side, (int, float)) for side in sides):
            raise SecurityError(f"'{operator}' is only for numbers in a chat template")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) > _LARGEST_NUMBER:
            raise SecurityError("a number of more than 256 bits in a chat template")
        return require_small(result)

    def call(self, context: Any, callee: Any, *args: Any, **kwargs: Any) -> Any:
        """Every call a template makes; str's own replace and join go through the bounded ones."""
        text = getattr(callee, "__self__", None)
        if isinstance(text, str) and getattr(callee, "__name__", "") == "replace":
            return _replace(text, *args)
        if isinstance(text, str) and getattr(callee, "__name__", "") == "join":
            return _join(args[0], text)
        result = super().call(context, callee, *args, **kwargs)
        return require_small(result) if isinstance(result, (dict, list, tuple)) else result

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Jinja hands out a checked str.format here, which still takes any width."""
        if _is_forbidden(obj, attribute):
            return self.unsafe_undefined(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if _is_forbidden(obj, argument):
            return self.unsafe_undefined(obj, argument)
        return super().getitem(obj, argument)

    @staticmethod
    def concat_bounded(parts: tuple[Any, ...]) -> str:
        texts = [_text(part) for part in parts]
        _require_length(sum(map(len, texts)))
        return "".join(texts)

    @staticmethod
    def measured(value: Any) -> Any:
        return require_small(value)


class _GenerationTag(Extension):
    """{% generation %}…{% endgeneration %} marks the answer for training; here it is only its content."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's interface

    def parse(self, parser: Any) -> list[nodes.Node]:
        next(parser.stream)
        body: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return body


def _require_length(characters: int) -> None:
    if characters > MOST_CHARACTERS:
        raise SecurityError(f"a text of {characters} characters in a chat template")


def require_small(value: Any) -> Any:
    """The value as it is. Raises SecurityError where its text would be longer than MOST_CHARACTERS.

    A list may hold another one twice, and that one a third: what Python writes and compares of it
    in one step doubles with each.
    """
    if isinstance(value, (dict, list, tuple)):
        _measure(value, MOST_CHARACTERS)
    return value


def _measure(value: Any, room: int) -> int:
    """The characters that are left of `room`."""
    room -= _CHARACTERS_AN_ITEM + (len(value) if isinstance(value, str) else 0)
    if room < 0:
        raise SecurityError("a list without measure in a chat template")
    if isinstance(value, dict):
        for key, item in value.items():
            room = _measure(item, _measure(key, room))
    elif isinstance(value, (list, tuple)):
        for item in value:
            room = _measure(item, room)
    return room


def _text(value: Any) -> str:
    return str(require_small(value))


def _is_forbidden(owner: Any, name: Any) -> bool:
    names = _FORBIDDEN_METHODS if isinstance(owner, str) else _FORBIDDEN_NUMBER_METHODS
    return isinstance(owner, (str, int)) and isinstance(name, str) and name in names


def _batch(value: Any, linecount: int, fill_with: Any = None) -> Any:
    return do_batch(value, min(linecount, _MOST_ITEMS), fill_with)


def _slice(value: Any, slices: int, fill_with: Any = None) -> Any:
    return sync_do_slice(value, min(slices, _MOST_ITEMS), fill_with)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    return do_round(value, max(min(precision, _MOST_DIGITS), -_MOST_DIGITS), method)


def _replace(text: Any, old: Any, new: Any, count: int = -1) -> str:
    text, old, new = str(text), str(old), str(new)
    places = text.count(old) if count is None or count < 0 else min(text.count(old), count)
    _require_length(len(text) + places * len(new))
    replaced: str = text.replace(old, new, -1 if count is None else count)
    return replaced


def _join(values: Any, separator: str = "", attribute: str | None = None) -> str:
    texts = [_text(value[attribute] if attribute else value) for value in values]
    _require_length(sum(map(len, texts)) + len(texts) * len(separator))
    return str(separator).join(texts)


class deadline(AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    """Raise TookTooLong in this thread when the block runs longer than `limit_s`.

    A template cannot be interrupted otherwise: nested loops over a long message
    run for years without leaving Python. It stops Python code only, and a
    template's loops are nothing else.
    """

    def __init__(self, limit_s: float) -> None:
        self._thread_id = threading.get_ident()
        self._lock = threading.Lock()
        self._over = False
        self._timer = threading.Timer(limit_s, self._interrupt)
        self._timer.daemon = True

    def _interrupt(self) -> None:
        with self._lock:
            if not self._over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread_id), ctypes.py_object(TookTooLong)
                )

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over = True
        self._timer.cancel()


__all__ = ["MOST_CHARACTERS", "TemplateEnvironment", "TookTooLong", "deadline", "require_small"]
