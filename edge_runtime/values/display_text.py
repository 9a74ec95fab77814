"""Text as a screen shows it: without what a terminal would obey, measured in cells."""

from __future__ import annotations

import unicodedata

# Model output, titles and file names are untrusted. A terminal obeys control characters:
# escape sequences move its cursor, set its title, answer on its stdin. The characters that
# reverse the direction of writing can make text look like another.
_REMOVED = dict.fromkeys(
    [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
    + [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)


def clean(text: str) -> str:
    """Without control characters other than newline and tab."""
    return text.translate(_REMOVED)


def one_line(text: str, columns: int) -> str:
    """Clean, on one line, cut to so many columns."""
    words = " ".join(clean(text).split())
    if text_columns(words) <= columns:
        return words
    while words and text_columns(words) > columns - 1:
        words = words[:-1]
    return words.rstrip() + "…"


def text_columns(text: str) -> int:
    """How many cells a terminal gives to `text`: East Asian characters and emoji take two, accents none."""
    return sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if character < "\u0300":
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
