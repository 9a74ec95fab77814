"""The front matter of a checkpoint's README.md: licence, tags, languages, base models.

The front matter is YAML, of which model cards use little. Read here: `key: text`, `key: [a, b]`, and
lists of lines with a dash; all else, such as nested objects, is passed over.
"""

from __future__ import annotations

from pathlib import Path

_MOST_BYTES = 1 << 20
CardValue = str | list[str]


def read_card(path: Path) -> dict[str, CardValue]:
    """{} where there is no card, or it has no front matter."""
    if not path.is_file():
        return {}
    with path.open("rb") as handle:
        lines = handle.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return {}
    return _parsed(lines[1 : lines.index("---", 1)])


def _parsed(lines: list[str]) -> dict[str, CardValue]:
    card: dict[str, CardValue] = {}
    key = ""  # of the list that is being read, "" when none is
    for line in lines:
        text = line.strip()
        if text.startswith("- ") and key:
            items = card.setdefault(key, [])
            if isinstance(items, list) and not text.endswith(":") and ": " not in text.strip("'\""):
                items.append(_plain(text[2:]))
        elif line[:1].strip() and not text.startswith("#"):
            key, _, value = (part.strip() for part in text.partition(":"))
            if value and value[0] not in "|>{":
                card[key] = _value(value)
                key = ""
    return {name: value for name, value in card.items() if value not in ("", [], "null", "~")}


def _value(text: str) -> CardValue:
    if text.startswith("[") and text.endswith("]"):
        return [_plain(item) for item in text[1:-1].split(",") if item.strip()]
    return _plain(text)


def _plain(text: str) -> str:
    """Without quotes, or without a comment."""
    text = text.strip()
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]
    return text.partition(" #")[0].strip()
