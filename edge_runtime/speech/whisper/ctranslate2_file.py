"""The table of contents of a CTranslate2 model.bin, read without its weights.

Source: CTranslate2 4.8, python/ctranslate2/specs/model_spec.py, Model._serialize, binary version 6;
all little endian. Strings carry their length, with the NUL at their end, in two bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import ConversionError

BINARY_VERSION = 6
_MOST_VARIABLES = 20_000  # Whisper large has 1,300
_MOST_DIMENSIONS = 4
_MOST_WEIGHT_BYTES = 1 << 30  # the largest of Whisper large, its embedding in F32, has 266 MB
_ELEMENT_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_TYPE_NAMES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_FLOATS = {"<f4", "<f2"}


@dataclass(frozen=True)
class Variable:
    name: str
    type_id: int  # CTranslate2's
    shape: tuple[int, ...]  # () for a number
    offset_bytes: int
    size_bytes: int


class Ctranslate2File:
    """The variables of one file. Each is read when it is asked for."""

    def __init__(self, path: Path, file: BinaryIO, size_bytes: int) -> None:
        self.path = path
        self._file = file
        self._size_bytes = size_bytes
        self.specification, self.revision = self._read_start()
        self.variables = {variable.name: variable for variable in self._read_variables()}
        self.variables.update(self._read_aliases())
        if self._file.tell() != size_bytes:
            raise self.damaged(f"ends at byte {self._file.tell():,}, but has {size_bytes:,}")

    def floats(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A weight, as F32. Raises ConversionError unless it has this shape, and is F16 or F32."""
        variable = self._variable(name)
        if variable.shape != shape:
            raise self._wrong(name, f"has the shape {list(variable.shape)}, expected {list(shape)}")
        kind = _ELEMENT_TYPES.get(variable.type_id)
        if kind not in _FLOATS:
            raise self._wrong(
                name,
                f"is {_type_name(variable.type_id)}, expected float16 or float32",
                "take the float16 model: quantized ones cannot be quantized again without loss",
            )
        values = np.frombuffer(self._data(variable), kind).astype(np.float32)
        if not np.isfinite(values).all():
            raise self._wrong(name, "holds NaN or infinity")
        return values.reshape(shape)

    def number(self, name: str) -> int:
        """A setting. Raises ConversionError unless it is one whole number."""
        variable = self._variable(name)
        kind = _ELEMENT_TYPES.get(variable.type_id)
        if variable.shape or kind is None or kind in _FLOATS:
            raise self._wrong(
                name, f"is {_type_name(variable.type_id)} {list(variable.shape)}, expected a whole number"
            )
        return int(np.frombuffer(self._data(variable), kind)[0])

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        shape = self._variable(name).shape
        if len(shape) != dimensions:
            raise self._wrong(name, f"has the shape {list(shape)}, expected {dimensions} dimensions")
        return shape

    def damaged(self, problem: str, hint: str = "") -> ConversionError:
        return ConversionError(
            f"{self.path.name} {problem}",
            hint=hint or "fetch the file again, and compare its size with the source's",
            path=str(self.path),
        )

    def _wrong(self, name: str, problem: str, hint: str = "") -> ConversionError:
        return self.damaged(f"is no Whisper model we can read: {name[:120]!r} {problem}", hint)

    def _variable(self, name: str) -> Variable:
        if name not in self.variables:
            raise self._wrong(name, "is missing")
        return self.variables[name]

    def _data(self, variable: Variable) -> bytes:
        self._file.seek(variable.offset_bytes)
        return self._take(variable.size_bytes, variable.name)

    def _read_start(self) -> tuple[str, int]:
        version = self._number("<I", "the version")
        if version != BINARY_VERSION:
            raise self.damaged(
                f"begins with {version}, expected {BINARY_VERSION}, the version of CTranslate2's format",
                "give a model.bin that CTranslate2 3 or 4 has written",
            )
        return self._text("the name of the specification"), self._number("<I", "the revision")

    def _read_variables(self) -> Iterator[Variable]:
        count = self._count("variables")
        known: set[str] = set()
        for position in range(count):
            variable = self._read_variable(f"variable {position + 1} of {count}")
            if variable.name in known:
                raise self._wrong(variable.name, "appears twice")
            known.add(variable.name)
            yield variable

    def _read_variable(self, what: str) -> Variable:
        name = self._text(f"the name of {what}")
        rank = self._number("<B", what)
        if rank > _MOST_DIMENSIONS:
            raise self._wrong(name, f"has {rank} dimensions, expected at most {_MOST_DIMENSIONS}")
        shape = struct.unpack(f"<{rank}I", self._take(4 * rank, what))
        type_id, size_bytes = self._number("<B", what), self._number("<I", what)
        offset_bytes = self._file.tell()
        variable = Variable(name, type_id, shape, offset_bytes, size_bytes)
        self._check(variable)
        self._file.seek(size_bytes, os.SEEK_CUR)
        return variable

    def _check(self, variable: Variable) -> None:
        name, end = variable.name, variable.offset_bytes + variable.size_bytes
        if variable.type_id >= len(_TYPE_NAMES):
            raise self._wrong(name, f"has the unknown type {variable.type_id}")
        element_bytes = (4, 1, 2, 4, 2, 2)[variable.type_id]
        needed_bytes = prod(variable.shape) * element_bytes
        if needed_bytes != variable.size_bytes or needed_bytes > _MOST_WEIGHT_BYTES:
            raise self._wrong(
                name,
                f"takes {variable.size_bytes:,} bytes; {_type_name(variable.type_id)} "
                f"{list(variable.shape)} needs {needed_bytes:,}",
            )
        if end > self._size_bytes:
            raise self.damaged(
                f"is cut short: {name[:120]!r} ends at byte {end:,}, the file at {self._size_bytes:,}"
            )

    def _read_aliases(self) -> dict[str, Variable]:
        aliases = {}
        for _ in range(self._count("aliases")):
            alias, name = self._text("an alias"), self._text("an alias")
            aliases[alias] = self._variable(name)
        return aliases

    def _count(self, what: str) -> int:
        count = self._number("<I", f"the number of {what}")
        if count > _MOST_VARIABLES:
            raise self.damaged(f"names {count:,} {what}, expected at most {_MOST_VARIABLES:,}")
        return count

    def _number(self, kind: str, what: str) -> int:
        return int(struct.unpack(kind, self._take(struct.calcsize(kind), what))[0])

    def _text(self, what: str) -> str:
        raw = self._take(self._number("<H", what), what)
        try:
            return raw.removesuffix(b"\0").decode("ascii")
        except UnicodeDecodeError:
            raise self.damaged(f"has {raw[:40]!r} for {what}, expected ASCII") from None

    def _take(self, size_bytes: int, what: str) -> bytes:
        at = self._file.tell()
        if at + size_bytes > self._size_bytes:
            raise self.damaged(
                f"is cut short: {what} at byte {at:,} needs {size_bytes:,} bytes, "
                f"the file ends at {self._size_bytes:,}"
            )
        data = self._file.read(size_bytes)
        if len(data) != size_bytes:
            raise self.damaged("shrank while it was read")
        return data


def _type_name(type_id: int) -> str:
    return _TYPE_NAMES[type_id] if type_id < len(_TYPE_NAMES) else f"type {type_id}"


@contextmanager
def open_ctranslate2(path: Path) -> Iterator[Ctranslate2File]:
    """The file, with every length in it checked against its size. Raises ConversionError."""
    try:
        with path.open("rb") as file:
            yield Ctranslate2File(path, file, os.fstat(file.fileno()).st_size)
    except ConversionError:
        raise
    except OSError as error:
        raise ConversionError(
            f"{path} cannot be read: {error.strerror}", hint="check the disk and the rights", path=str(path)
        ) from error
