"""Errors as a person sees them on the terminal."""

from __future__ import annotations

import sys

from ...errors import EdgeRuntimeError
from ...values.display_text import clean


def print_error(error: EdgeRuntimeError) -> None:
    """On stderr, without the control characters that a model's own words may carry."""
    print(clean(f"error: {error}"), file=sys.stderr)
    if error.hint:
        print(clean(f"  hint: {error.hint}"), file=sys.stderr)
