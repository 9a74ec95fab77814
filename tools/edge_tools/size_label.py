"""How many parameters, as model names have it."""

from __future__ import annotations


def size_label(parameters: int) -> str:
    """1,234,567,890 -> "1.2B"; two digits at least."""
    scale, letter = next(
        ((s, x) for s, x in ((1e12, "T"), (1e9, "B"), (1e6, "M")) if parameters > s), (1e3, "K")
    )
    shown = parameters / scale
    digits = len(str(round(shown)).lstrip("0"))
    return f"{shown:.{max(2 - digits, 0)}f}{letter}"
