"""Sizes as people write and read them.

`2GB` is 2,000,000,000 bytes and `2GiB` is 2^31: the letter i decides, always. Who asks in
GiB is answered in GiB; everybody else reads GB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from ..errors import OptionInvalid


class ByteUnits(Enum):
    """The family of units that sizes are shown in; the value is the step between two of them."""

    DECIMAL = 1000  # KB, MB, GB, TB
    BINARY = 1024  # KiB, MiB, GiB, TiB


_FACTORS = {
    units: {f"{letter}{infix}B": units.value**power for power, letter in enumerate("KMGT", start=1)}
    for units, infix in ((ByteUnits.DECIMAL, ""), (ByteUnits.BINARY, "i"))
}
_FACTOR_OF_TEXT = (
    {"": 1, "B": 1}
    | {name.upper(): factor for names in _FACTORS.values() for name, factor in names.items()}
    | {letter: 1000**power for power, letter in enumerate("KMGT", start=1)}
)
# More digits than 15 mean nothing, and thousands of them would take long to multiply.
_SIZE = re.compile(r"(?P<whole>\d{1,15})(?:\.(?P<part>\d{1,15}))?\s*(?P<unit>[A-Za-z]*)", re.ASCII)


def parse_bytes(text: str | int, *, option: str = "budget") -> int:
    """'2GB', '1.5 GiB', '800M' or a plain number of bytes -> bytes, at least 1.

    A fraction of a byte is dropped. Raises OptionInvalid, naming `option`, for anything else.
    """
    size_bytes = text if isinstance(text, int) and not isinstance(text, bool) else _parsed(str(text).strip())
    if size_bytes is None or size_bytes < 1:
        raise OptionInvalid(
            f"{option}: {str(text)[:40]!r} is not a size",
            hint="write it like 2GB (2,000,000,000 bytes), 1.5GiB or 800MB",
            option=option,
            value=str(text)[:40],
        )
    return size_bytes


def _parsed(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    factor = _FACTOR_OF_TEXT.get(found["unit"].upper()) if found else None
    if found is None or factor is None:
        return None
    part = found["part"] or ""
    size_bytes: int = int(found["whole"] + part) * factor // 10 ** len(part)
    return size_bytes


def byte_units_of(*sizes: str | int | None) -> ByteUnits:
    """The units that somebody who wrote these sizes reads: BINARY when one of them is in KiB, MiB ..."""
    is_binary = any(isinstance(size, str) and "i" in size.lower() for size in sizes)
    return ByteUnits.BINARY if is_binary else ByteUnits.DECIMAL


def format_bytes(size_bytes: float, units: ByteUnits = ByteUnits.DECIMAL, *, digits: int = 3) -> str:
    """To so many significant digits: 1536 -> '1.54 KB', or '1.50 KiB'. All before the point are kept."""
    unit, factor = unit_for(size_bytes, units)
    number = size_bytes / factor
    return f"{number:.{_decimals(number, digits) if factor > 1 else 0}f} {unit}"


def format_alike(sizes_bytes: Sequence[float], units: ByteUnits = ByteUnits.DECIMAL) -> tuple[list[str], str]:
    """Numbers to compare at a glance: all in the unit of the largest, with its decimals.

    -> the numbers, and their unit: (['1.75', '0.52'], 'GB').
    """
    largest_bytes = max(sizes_bytes)
    unit, factor = unit_for(largest_bytes, units)
    decimals = _decimals(largest_bytes / factor, 3) if factor > 1 else 0
    return [f"{size / factor:.{decimals}f}" for size in sizes_bytes], unit


def size_to_type(size_bytes: int, units: ByteUnits = ByteUnits.DECIMAL) -> str:
    """Whole megabytes that are not less, as an option takes them: 1,500,001 -> '2MB'."""
    unit = "MB" if units is ByteUnits.DECIMAL else "MiB"
    return f"{-(-size_bytes // _FACTORS[units][unit])}{unit}"


def unit_for(size_bytes: float, units: ByteUnits) -> tuple[str, int]:
    """Its name and its bytes. The number before it stays below 1000, rounded: not 1000 MB but 1.00 GB."""
    if round(abs(size_bytes)) < units.value:
        return "B", 1
    named = list(_FACTORS[units].items())
    return next((pair for pair in named if round(abs(size_bytes) / pair[1]) < 1000), named[-1])


def _decimals(number: float, digits: int) -> int:
    """How many give it so many significant digits; rounding 9.999 brings one more before the point."""
    for before_point in range(digits):
        decimals = digits - before_point
        if round(abs(number), decimals) < 10**before_point:
            return decimals
    return 0
