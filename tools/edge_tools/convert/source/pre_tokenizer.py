"""The pre-tokenizer of llama.cpp that a byte-level tokenizer.json asks for.

llama.cpp has each way's regular expressions in its code, under a name (src/llama-vocab.cpp). Its
converter finds the name by tokenizing a text and looking the result's hash up; here it is found by what
tokenizer.json says, so that a new vocabulary with a known way of splitting needs no new hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .source_error import damaged

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CAMEL = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+"
_CAPITALS = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

_BY_EXPRESSION = {
    _WORDS + _REST: "qwen2",
    _WORDS + "{1,3}" + _REST: "llama-bpe",
    rf"{_CAMEL}{_ENDINGS}|{_CAPITALS}{_ENDINGS}|\p{{N}}{{1,3}}{_O200K_REST}": "gpt-4o",
    rf"{_CAMEL}|{_CAPITALS}|\p{{N}}{_O200K_REST}": "tekken",
}


def pre_tokenizer_name(path: Path, tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name. Raises ConversionError where it has none, or none known here."""
    steps = _steps(tokenizer.get("pre_tokenizer"))
    kinds = [str(step.get("type")) for step in steps]
    name = None
    if kinds == ["ByteLevel"] and steps[0].get("use_regex") is not False:
        name = "gpt-2"
    elif kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") is True:
        name = "smollm"
    elif kinds == ["Split", "ByteLevel"]:
        name = _BY_EXPRESSION.get(_expression(steps[0]))
    if name == "llama-bpe" and not _object(tokenizer.get("model")).get("ignore_merges"):
        name = "smaug-bpe"  # the same words, but merged by the rules
    if name is None:
        raise damaged(
            path,
            f"splits words in a way that is not known here: {', '.join(kinds)[:80] or 'none'}",
            hint=f"known are the ways of {', '.join(('gpt-2', 'smollm', *_BY_EXPRESSION.values()))}",
        )
    return name


def _expression(step: dict[str, Any]) -> str:
    return str(_object(step.get("pattern")).get("Regex"))


def _steps(pre_tokenizer: Any) -> list[dict[str, Any]]:
    said = _object(pre_tokenizer)
    steps = said.get("pretokenizers", [said] if said else [])
    return [_object(step) for step in steps] if isinstance(steps, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
