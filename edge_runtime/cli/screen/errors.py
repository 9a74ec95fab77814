"""Errors as a person sees them on the terminal."""

from __future__ import annotations

import sys

from ...errors import EdgeRuntimeError
from ...values.display_text import clean

# Keyword of the library -> option, where they differ by more than dashes.
_OPTIONS = {"context_tokens": "context", "micro_batch_tokens": "micro-batch", "kv_type": "kv"}


def print_error(error: EdgeRuntimeError) -> None:
    """On stderr, without the control characters that a model's own words may carry."""
    print(clean(f"error: {_with_option(error)}"), file=sys.stderr)
    if error.hint:
        print(clean(f"  hint: {error.hint}"), file=sys.stderr)


def _with_option(error: EdgeRuntimeError) -> str:
    """The message; where it begins with the library's keyword, with the option that stands for it."""
    keyword, text = str(error.facts.get("option", "")), str(error)
    if not keyword or not text.startswith(f"{keyword}: "):
        return text
    return f"--{_OPTIONS.get(keyword, keyword.replace('_', '-'))}{text.removeprefix(keyword)}"
