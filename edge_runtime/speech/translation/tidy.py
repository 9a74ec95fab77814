"""Removal of what chat models write around a translation, where there is no doubt about it."""

from __future__ import annotations

import re

_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "‘": "’", "「": "」", "『": "』", "'": "'", "`": "`"}
_LONGEST_PREFACE = 120  # characters of "Sure! Here is the translation of this into French:"
_NOTE = re.compile(r"\(|\*|(translator'?s )?notes?\b|explanation\b|please note\b", re.IGNORECASE)


def only_translation(reply: str, said: str, target: str) -> str:
    """One line without a preface, a label, a closing note, or marks around the whole.

    What was said is one line: a translation has one paragraph, and begins with a quotation mark
    only if that did. `target`: the language's English name.
    """
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", _without_preface(reply, said))]
    kept = [part for part in paragraphs if part]
    while len(kept) > 1 and _NOTE.match(kept[-1]):
        kept.pop()
    text = " ".join(kept)
    for _ in range(2):  # a label within quotation marks, or they within it
        text = _without_marks(_without_label(text, said, target), said)
    return text


def _without_preface(reply: str, said: str) -> str:
    """'Here is the translation:' has a line of its own."""
    first, _, rest = reply.strip().partition("\n")
    is_preface = first.rstrip(" *").endswith((":", "："))
    if is_preface and rest.strip() and len(first) <= _LONGEST_PREFACE and ":" not in said:
        return rest
    return reply


def _without_label(text: str, said: str, target: str) -> str:
    """'French: Bonjour', 'Translation (French): Bonjour'."""
    label = re.compile(
        rf"\**(?:translation|{re.escape(target)})(?:\s*\([^)]{{1,40}}\))?\**\s*[:：]\**\s*", re.I
    )
    found = label.match(text)
    return text[found.end() :] if found and not label.match(said) else text


def _without_marks(text: str, said: str) -> str:
    if len(text) > 4 and text.startswith("**") and text.endswith("**") and "**" not in text[2:-2]:
        text = text[2:-2].strip()
    closing = _QUOTES.get(text[:1])
    inner = text[1:-1]
    if closing is None or len(text) < 3 or not text.endswith(closing) or said[:1] in _QUOTES:
        return text
    return text if text[0] in inner or closing in inner else inner.strip()
