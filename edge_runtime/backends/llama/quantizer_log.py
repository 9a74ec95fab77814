"""The log of llama.cpp's quantizer, parsed message by message.

Source: llama.cpp at 0c1e57098, src/llama-quant.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import ConversionError
from ...gguf.types import GgmlType

# "[  12/ 254] blk.0.ffn_up.weight      - [ 2048,  8192,     1,     1], type =   bf16, "
TENSOR_LINE = re.compile(
    r"\[ *\d+/ *\d+\] (?P<name>.+?) +- \[[ \d,]+\], type = +(?P<type>\w+), \Z", re.DOTALL
)
_SIZE = re.compile(r"size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((?P<type>\w+)\))?\s*\Z")
_NO_FIT = re.compile(
    r"warning: (?P<name>.+?) +- ncols +(?P<columns>\d+) not divisible by +\d+ "
    r"\(required for type +(?P<type>\w+)\) \Z",
    re.DOTALL,
)
_FALLBACK = re.compile(r"-> falling back to +(?P<type>\w+)\s*\Z")


@dataclass(frozen=True)
class Fallback:
    """A type whose blocks do not divide a row, and what llama.cpp takes instead."""

    tensor: str
    row_elements: int
    wanted: GgmlType
    taken: GgmlType


@dataclass
class TypeAnswer:
    types: dict[str, GgmlType] = field(default_factory=dict)  # of every tensor
    fallbacks: list[Fallback] = field(default_factory=list)


def reader_of(answers: Sequence[TypeAnswer]) -> Callable[[Mapping[str, Any]], None]:
    """Something that fills the answers from a dry run's events: see quantizer_child.py."""
    reader = _LogReader()

    def hear(event: Mapping[str, Any]) -> None:
        if "task" in event:
            reader.answer = answers[event["task"]]
        elif "log" in event:
            reader.read(event["log"][1])

    return hear


class _LogReader:
    """Two messages belong together: a tensor and its sizes, a row that does not fit and what is taken."""

    def __init__(self) -> None:
        self.answer = TypeAnswer()
        self._before: re.Match[str] | None = None

    def read(self, text: str) -> None:
        if text.startswith("(WARNING"):  # between the two
            return
        before, self._before = self._before, TENSOR_LINE.match(text) or _NO_FIT.match(text)
        if before is None:
            return
        if before.re is TENSOR_LINE and (size := _SIZE.match(text)):
            self.answer.types[before["name"]] = _type_named(size["type"] or before["type"])
        elif before.re is _NO_FIT and (taken := _FALLBACK.search(text)):
            self.answer.fallbacks.append(
                Fallback(
                    before["name"],
                    int(before["columns"]),
                    _type_named(before["type"]),
                    _type_named(taken["type"]),
                )
            )


def _type_named(name: str) -> GgmlType:
    """'q4_K' -> Q4_K. Raises ConversionError for one that only a newer llama.cpp knows."""
    try:
        return GgmlType[name.upper()]
    except KeyError:
        raise ConversionError(
            f"llama.cpp takes the type {name[:20]!r}, which is not known here", type=name[:20]
        ) from None
