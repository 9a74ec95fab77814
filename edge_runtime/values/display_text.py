"""Text as a screen shows it: without what a terminal would obey, measured in cells."""

from __future__ import annotations

import re

# Model output, titles and file names are untrusted. A terminal obeys control characters:
# escape sequences move its cursor, set its title, answer on its stdin. The characters that
# reverse the direction of writing can make text look like another.
_REMOVED = dict.fromkeys(
    [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
    + [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# One cell each, whatever stands beside it: Latin, Greek and Cyrillic letters, dashes and quotation marks.
_NARROW = re.compile(r"[\x00-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u20ac]*")


def clean(text: str) -> str:
    """Without control characters other than newline and tab."""
    return text.translate(_REMOVED)


def one_line(text: str, columns: int) -> str:
    """Clean, on one line, cut to so many columns."""
    return shortened(flat(text), columns)


def flat(text: str) -> str:
    """Clean, on one line: a single space wherever there was room between words."""
    return " ".join(clean(text).split())


def shortened(text: str, columns: int) -> str:
    """All of it, or its beginning and an ellipsis, in so many columns. No character is cut in two."""
    if text_columns(text) <= columns:
        return text
    kept, used = [], 0
    for character in graphemes(text):
        used += text_columns(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def text_columns(text: str) -> int:
    """How many cells a terminal gives to `text`: a control character counts as one.

    Two for East Asian characters and emoji, none for accents; a family, a flag or a heart
    made red by a selector is one emoji. Measured by wcwidth, which is loaded for text that needs it.
    """
    if _NARROW.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth

    return wcswidth(_CONTROL.sub(" ", text))


def graphemes(text: str) -> list[str]:
    """What a reader takes for characters: a letter with its accents, an emoji of several code points."""
    if _NARROW.fullmatch(text):
        return list(text)
    from wcwidth import iter_graphemes

    return list(iter_graphemes(text))


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Filled up with spaces to so many columns; right: the text stands at the right end."""
    spaces = " " * (columns - text_columns(text))
    return spaces + text if right else text + spaces
