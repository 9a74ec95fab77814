"""Metadata copied from another file without a change: numbers keep their type, text its bytes."""

from __future__ import annotations

from ...errors import ModelFileInvalid
from ...values.files import reading
from ..header import GgufHeader
from ..types import NUMBER_DTYPES, GgufValueType
from .header_bytes import RawValue

_TYPE_BYTES = 4


def raw_metadata(header: GgufHeader) -> dict[str, RawValue]:
    """Every key of the first file, in its order. Raises ModelFileInvalid when it became shorter."""
    values: dict[str, RawValue] = {}
    with reading(header.path) as file:
        for key, (start, end) in header.value_spans.items():
            file.seek(start)
            content = file.read(end - start)
            if len(content) < end - start:
                raise ModelFileInvalid(
                    f"{header.path.name} became shorter while it was read: {key} is cut off",
                    hint="wait until it is copied or written, and try again",
                    path=str(header.path),
                    offset=start,
                )
            values[key] = RawValue(content)
    return values


def as_in(raw: RawValue, number: int) -> RawValue:
    """`number` in the type that `raw`, one number, has in its file."""
    kind = raw.content[:_TYPE_BYTES]
    dtype = NUMBER_DTYPES[GgufValueType(int.from_bytes(kind, "little"))]
    return RawValue(kind + dtype.type(number).tobytes())
