"""Broken copies of a sound GGUF file, the same ones for the same generator.

Half of the damage is blind (cuts, flipped bits, lost bytes), half knows the format
and writes the values that readers get wrong: absurd counts, sizes that overflow,
other types, hyperparameters of 0, -1 or NaN.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from support.builders import ARRAY, BOOL, FLOAT32, FLOAT64, STRING

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_COUNTS = (0, 1, 2, 2**16, 10**9, 2**31, 2**32 - 1, 2**60, 2**61, 2**63 - 1, 2**63, 2**64 - 1)
_FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e30, -1e30, float("nan"), float("inf"), float("-inf"))
_INTEGERS = (0, 1, 2, 3, 5, 7, 31, 63, 255, 256, 1023, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Field:
    """Where one number or text of the header stands."""

    label: str
    role: str  # magic, version, count, text, type, value, dimensions, dimension, tensor_type, offset
    start: int
    size_bytes: int
    kind: int = -1  # GGUF value type of a value


def mutated_files(seed_bytes: bytes, count: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """`count` pairs of (what was done, the file)."""
    fields, header_bytes = header_fields(seed_bytes)
    damages: tuple[Callable[..., tuple[str, bytes]], ...] = (
        _cut,
        _flip_bits,
        _lose_bytes,
        _absurd_count,
        _overflow,
        _other_type,
        _odd_value,
        _odd_value,  # twice as often: these reach the furthest
        _odd_item,
        _swap_tensors,
        _repeat_text,
    )
    for number in range(count):
        damage = damages[number % len(damages)]
        description, data = damage(seed_bytes, fields, header_bytes, rng)
        yield f"{number}: {description}", data


def header_fields(data: bytes) -> tuple[list[Field], int]:
    """Every field of a sound file's header, and how long the header is."""
    walker = _Walker(data)
    walker.field("magic", "magic", 4)
    walker.field("version", "version", 4)
    tensor_count = walker.field("tensor count", "count", 8)
    key_count = walker.field("key count", "count", 8)
    for _ in range(key_count):
        walker.key_and_value()
    for _ in range(tensor_count):
        walker.tensor()
    return walker.fields, walker.position


class _Walker:
    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self.fields: list[Field] = []

    def field(self, label: str, role: str, size_bytes: int, kind: int = -1) -> int:
        start = self.position
        self.fields.append(Field(label, role, start, size_bytes, kind))
        self.position += size_bytes
        return int.from_bytes(self.data[start : self.position], "little")

    def text(self, label: str, role: str = "text") -> str:
        size_bytes = self.field(f"length of {label}", "count", 8)
        self.field(label, role, size_bytes)
        return self.data[self.position - size_bytes : self.position].decode()

    def key_and_value(self) -> None:
        key = self.text("key")
        kind = self.field(f"type of {key}", "type", 4)
        if kind != ARRAY:
            self.value(key, kind, "value")
            return
        kind = self.field(f"item type of {key}", "type", 4)
        for _ in range(self.field(f"length of {key}", "count", 8)):
            self.value(key, kind, "item")

    def value(self, key: str, kind: int, role: str) -> None:
        if kind == STRING:
            self.text(key, role)
        else:
            self.field(key, role, _SIZES[kind], kind)

    def tensor(self) -> None:
        name = self.text("tensor name", "tensor_name")
        for _ in range(self.field(f"dimensions of {name}", "dimensions", 4)):
            self.field(f"dimension of {name}", "dimension", 8)
        self.field(f"type of {name}", "tensor_type", 4)
        self.field(f"offset of {name}", "offset", 8)


def _cut(data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator) -> tuple[str, bytes]:
    end = int(rng.integers(0, header_bytes if rng.random() < 0.7 else len(data)))
    return f"cut at byte {end}", data[:end]


def _flip_bits(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    changed = bytearray(data)
    places = rng.integers(0, header_bytes if rng.random() < 0.9 else len(data), int(rng.integers(1, 9)))
    for place in places:
        changed[place] ^= 1 << int(rng.integers(8))
    return f"bits flipped at {places.tolist()}", bytes(changed)


def _lose_bytes(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    start, size = int(rng.integers(0, header_bytes)), int(rng.integers(1, 65))
    if rng.random() < 0.5:
        return f"{size} bytes lost at {start}", data[:start] + data[start + size :]
    return f"{size} bytes put in at {start}", data[:start] + rng.bytes(size) + data[start:]


def _absurd_count(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    field = _pick(fields, rng, "count", "dimensions")
    return _with_number(data, field, int(rng.choice(np.array(_COUNTS, np.uint64))))


def _overflow(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    field = _pick(fields, rng, "dimension", "offset")
    near = int.from_bytes(data[field.start : field.start + 8], "little") + int(rng.integers(-33, 33))
    values = [*_COUNTS, 2**62, 2**64 - 32, near]
    return _with_number(data, field, values[int(rng.integers(len(values)))])


def _other_type(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    field = _pick(fields, rng, "type", "tensor_type", "version")
    return _with_number(data, field, int(rng.choice([*range(45), 255, 2**24, 2**31, 2**32 - 1])))


def _odd_value(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    return _with_odd_number(data, _pick(fields, rng, "value"), rng)


def _odd_item(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    return _with_odd_number(data, _pick(fields, rng, "item"), rng)


def _swap_tensors(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    """Two fields of a kind change places: offsets, dimensions, or names of the same length."""
    role = ("offset", "dimension", "tensor_name")[int(rng.integers(3))]
    first = _pick(fields, rng, role)
    alike = [field for field in fields if (field.role, field.size_bytes) == (role, first.size_bytes)]
    second = alike[int(rng.integers(len(alike)))]
    changed = bytearray(data)
    _put(changed, first, data[second.start : second.start + second.size_bytes])
    _put(changed, second, data[first.start : first.start + first.size_bytes])
    return f"{first.label} and {second.label} exchanged", bytes(changed)


def _repeat_text(
    data: bytes, fields: list[Field], header_bytes: int, rng: np.random.Generator
) -> tuple[str, bytes]:
    """A token, key or tensor name becomes the same as another, or something odd."""
    texts = [field for field in fields if field.kind == -1 and field.role in ("text", "item", "tensor_name")]
    field = texts[int(rng.integers(len(texts)))]
    alike = [other for other in texts if (other.role, other.size_bytes) == (field.role, field.size_bytes)]
    other = alike[int(rng.integers(len(alike)))]
    new = (
        data[other.start : other.start + other.size_bytes]
        if rng.random() < 0.6
        else rng.bytes(field.size_bytes)
    )
    changed = bytearray(data)
    _put(changed, field, new)
    return f"{field.label} at {field.start} replaced by {new[:20]!r}", bytes(changed)


def _pick(fields: list[Field], rng: np.random.Generator, *roles: str) -> Field:
    found = [field for field in fields if field.role in roles]
    return found[int(rng.integers(len(found)))]


def _with_odd_number(data: bytes, field: Field, rng: np.random.Generator) -> tuple[str, bytes]:
    if field.kind in (FLOAT32, FLOAT64):
        value = _FLOATS[int(rng.integers(len(_FLOATS)))]
        changed = bytearray(data)
        _put(changed, field, struct.pack("<f" if field.kind == FLOAT32 else "<d", value))
        return f"{field.label} = {value}", bytes(changed)
    if field.kind in (-1, BOOL):  # text, or a truth value
        return _with_number(data, field, int(rng.integers(0, 256)))
    return _with_number(data, field, _INTEGERS[int(rng.integers(len(_INTEGERS)))])


def _with_number(data: bytes, field: Field, number: int) -> tuple[str, bytes]:
    """`number` in as many bytes as the field has; in a text, its first byte."""
    size_bytes = 1 if field.kind == -1 and field.role in ("value", "item") else field.size_bytes
    changed = bytearray(data)
    small = Field(field.label, field.role, field.start, min(size_bytes, field.size_bytes))
    _put(changed, small, (number % 256**small.size_bytes).to_bytes(small.size_bytes, "little"))
    return f"{field.label} = {number}", bytes(changed)


def _put(changed: bytearray, field: Field, raw: bytes) -> None:
    changed[field.start : field.start + field.size_bytes] = raw
