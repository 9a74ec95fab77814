from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.values.display_text import clean, graphemes, one_line, padded, shortened, text_columns

FAMILY, FLAG, HEART = "👨‍👩‍👧‍👦", "🇫🇷", "❤️"  # of seven, two and two code points
ACCENTED = "e\u0301\u0323"
ANY_TEXT = st.text(
    st.one_of(st.characters(exclude_categories=("Cs", "Cc")), st.sampled_from("👩👦\u200d🇫🇷❤\ufe0f한é"))
)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("plain", 5),
        ("naïve – “ok” …", 14),
        ("Привет, Ωμέγα", 13),
        (ACCENTED, 1),
        ("漢字かな", 8),
        ("한글", 4),
        ("ｗｉｄｅ", 8),
        (FAMILY, 2),
        (FLAG, 2),
        (HEART, 2),
        ("❤", 1),
        ("👍🏽", 2),
        ("1️⃣", 2),
        (f"a{FAMILY}b{FLAG}{HEART}", 8),
        ("a\tb\nc", 5),
        ("漢\x07字", 5),
    ],
)
def test_width_is_what_a_terminal_shows(text: str, columns: int) -> None:
    assert text_columns(text) == columns


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(6, f"{FAMILY}{FLAG}{HEART}"), (5, f"{FAMILY}{FLAG}…"), (4, f"{FAMILY}…"), (2, "…")],
)
def test_a_cut_goes_through_no_emoji(columns: int, shown: str) -> None:
    assert shortened(f"{FAMILY}{FLAG}{HEART}", columns) == shown
    assert graphemes(f"{FAMILY}{FLAG}{HEART}{ACCENTED}") == [FAMILY, FLAG, HEART, ACCENTED]


@given(ANY_TEXT, st.integers(1, 30))
def test_what_is_cut_fits_and_begins_alike(text: str, columns: int) -> None:
    shown = one_line(text, columns)
    assert text_columns(shown) <= columns
    words = " ".join(clean(text).split())
    assert shown == words or words.startswith(shown.removesuffix("…"))


@given(ANY_TEXT)
def test_graphemes_are_the_whole_text(text: str) -> None:
    assert "".join(graphemes(text)) == text


def test_padding_counts_cells() -> None:
    assert padded("漢字", 6) == "漢字  " and padded(FAMILY, 4, right=True) == f"  {FAMILY}"
    assert padded("too long", 3) == "too long"


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    hostile = "a\x1b[31mred\x1b]0;title\x07\x9b2J\r\n\tb\u202eend\x7f"
    assert clean(hostile) == "a[31mred]0;title2J\n\tbend"
    assert one_line(hostile, 80) == "a[31mred]0;title2J bend"


def test_plain_text_is_measured_without_loading_the_tables() -> None:
    code = (
        "import sys; from edge_runtime.values.display_text import *; "
        "text_columns('naïve – Ωμέγα'); graphemes('plain'); print('wcwidth' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
