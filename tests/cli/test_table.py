"""Tables and sentences: widths as a terminal shows them, never past its edge."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.cli.screen.sentences import page_columns, wrapped
from edge_runtime.cli.screen.table import Column, table_lines
from edge_runtime.values.display_text import text_columns

COLUMNS = (Column("NAME"), Column("SIZE", least=8, right=True), Column("NOTE"))
CELL = st.text(st.sampled_from("ab 漢👩‍👦❤️\x1b\n"), max_size=60)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("a", "1.00 GB", "first"), ("漢字 two", "30.5 MB", "")]
    assert table_lines(COLUMNS, rows) == [
        "NAME          SIZE  NOTE",
        "a          1.00 GB  first",
        "漢字 two   30.5 MB",
    ]


def test_the_last_cell_of_a_short_row_goes_on_to_the_end() -> None:
    rows = [("x", "1.00 GB", "y"), ("total", "over both of the others"), ("longer than its column",)]
    assert table_lines(COLUMNS, rows, width=28) == [
        "NAME       SIZE  NOTE",
        "x       1.00 GB  y",
        "total  over both of the oth…",
        "longer than its column",
    ]


def test_the_widest_text_is_cut_first_and_numbers_never() -> None:
    rows = [("n" * 30, "1.00 GB", "o" * 12)]
    (line,) = table_lines((Column(), Column(right=True), Column()), rows, width=40)
    assert line == "n" * 16 + "…  1.00 GB  " + "o" * 12


def test_a_table_without_headings_has_none() -> None:
    assert table_lines((Column(least=4), Column(right=True)), [("a", "1"), ("b", "10")]) == [
        "a      1",
        "b     10",
    ]


def test_what_a_cell_would_do_to_the_terminal_is_taken_out() -> None:
    (_, line) = table_lines((Column("A"), Column("B")), [("x\x1b[2J\ny", "z")])
    assert line == "x[2J y  z"


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=5), st.integers(20, 120))
def test_no_line_is_wider_than_the_table_may_be(rows: list[tuple[str, ...]], width: int) -> None:
    lines = table_lines(COLUMNS, rows, width=width)
    assert len(lines) == len(rows) + 1
    assert all(text_columns(line) <= width for line in lines)


@pytest.mark.parametrize(("is_terminal", "columns"), [(True, 132), (False, 80)])
def test_a_table_is_as_wide_as_the_terminal_and_80_columns_elsewhere(
    is_terminal: bool, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    out.isatty = lambda: is_terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "132")
    assert page_columns() == columns
    (line,) = table_lines((Column(), Column()), [("a", "word " * 40)])
    assert line.endswith("…") and columns - 1 <= text_columns(line) <= columns


def test_sentences_are_broken_at_spaces_by_width() -> None:
    assert wrapped("eins zwei drei", columns=9) == ["eins zwei", "  drei"]
    assert wrapped("漢字 漢字 漢字", columns=9) == ["漢字 漢字", "  漢字"]
    assert wrapped("a b", first="hint: ", indent="    ", columns=8) == ["hint: a", "    b"]
    assert wrapped("a\N{NO-BREAK SPACE}b c", columns=4) == ["a b", "  c"]
    assert wrapped("it takes 1.75 GiB here", columns=15) == ["it takes", "  1.75 GiB here"]
    assert wrapped("see /a/long/path/that/goes/on now", columns=10) == [
        "see",
        "  /a/long/path/that/goes/on",
        "  now",
    ]


@given(st.text(st.sampled_from("ab漢 \n"), max_size=200), st.integers(12, 80))
def test_wrapping_loses_no_word(text: str, columns: int) -> None:
    assert " ".join(wrapped(text, columns=columns)).split() == text.split()
