"""Sizes as people write them, and back.

`2GB` is 2,000,000,000 bytes and `2GiB` is 2^31: the letter i decides, always.
"""

from __future__ import annotations

import re

from ..errors import OptionInvalid

_FACTORS = {"": 1, "B": 1} | {
    f"{letter}{infix}B": base**power
    for infix, base in (("", 1000), ("i", 1024))
    for power, letter in enumerate("KMGT", start=1)
}
_BY_UPPER_NAME = {name.upper(): factor for name, factor in _FACTORS.items()} | {
    letter: 1000**power for power, letter in enumerate("KMGT", start=1)
}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)", re.ASCII)


def parse_bytes(text: str | int, *, option: str = "budget") -> int:
    """'2GB', '1.5 GiB', '800M' or a plain number of bytes -> bytes, at least 1.

    Raises OptionInvalid, naming `option`, for anything else.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        size_bytes = text
    else:
        found = _SIZE.fullmatch(str(text).strip())
        factor = _BY_UPPER_NAME.get(found["unit"].upper()) if found else None
        if found is None or factor is None:
            raise _size_error(text, option)
        size_bytes = int(float(found["number"]) * factor)
    if size_bytes < 1:
        raise _size_error(text, option)
    return size_bytes


def _size_error(text: object, option: str) -> OptionInvalid:
    return OptionInvalid(
        f"--{option}: {str(text)[:40]!r} is not a size",
        hint="write it like 2GB (2,000,000,000 bytes), 1.5GiB or 800MB",
        option=option,
        value=str(text)[:40],
    )


def format_bytes(size_bytes: int) -> str:
    """Three digits and a binary unit: 1536 -> '1.50 KiB'."""
    size = float(size_bytes)
    if abs(size) < 1024:
        return f"{size_bytes} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if abs(size) < 1000 or unit == "TiB":
            break
    decimals = 2 if abs(size) < 10 else 1 if abs(size) < 100 else 0
    return f"{size:.{decimals}f} {unit}"
