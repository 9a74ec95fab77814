"""Processes that fill a memory control group, where this machine lets us make one."""

from __future__ import annotations

import sys

import pytest

from scripts.benchmarks.limits.group import why_refused

REFUSED = why_refused()
needs_groups = pytest.mark.skipif(bool(REFUSED), reason=f"no memory control group: {REFUSED}")
MB = 1_000_000


def holding(size_bytes: int) -> list[str]:
    """A process that writes to so many bytes of anonymous memory."""
    return [sys.executable, "-c", f"held = b'x' * {size_bytes}; print(len(held))"]
