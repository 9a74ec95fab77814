"""One subtitle: a stretch of time, and at most two lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...values.display_text import text_columns

# What broadcasters and streaming services ask for, give or take. Source: BBC Subtitle Guidelines
# (about 37 characters a line, two lines) and Netflix Timed Text Style Guide (42, two lines, 7 s).
LINE_COLUMNS = 42
LONGEST_S = 7.0


@dataclass(frozen=True)
class Cue:
    start_s: float
    end_s: float  # after start_s
    lines: tuple[str, ...]  # one or two


def break_lines(texts: Sequence[str]) -> tuple[str, ...] | None:
    """Words, each with the space before it, on one line or two of about the same length.

    None when they need more room than that.
    """
    whole = "".join(texts).strip()
    if text_columns(whole) <= LINE_COLUMNS:
        return (whole,)
    if text_columns(whole) > 2 * LINE_COLUMNS + 1:  # the space at the break is not shown
        return None
    halves = [("".join(texts[:n]).strip(), "".join(texts[n:]).strip()) for n in range(1, len(texts))]
    fitting = [pair for pair in halves if max(map(text_columns, pair)) <= LINE_COLUMNS]
    return min(fitting, key=_unevenness, default=None)


def _unevenness(lines: tuple[str, str]) -> float:
    """A break after a comma may cost a few columns; a longer second line is nicer than a longer first."""
    first, second = map(text_columns, lines)
    return abs(first - second) + (0.5 if first > second else 0) - (8 if lines[0][-1:] in ",;:.?!" else 0)
