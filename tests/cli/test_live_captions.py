"""Live captions in an emulated terminal of 80 columns and 24 rows."""

from __future__ import annotations

import io
import os

import pyte
import pytest
from support.spoken import END, final, partial, spoken, untimed

from edge_runtime.cli.screen.live_captions import LiveCaptions
from edge_runtime.speech.recognition.transcript import TranscriptEvent, TranscriptWord

LONG = "The quick brown fox jumps over the lazy dog near the river, where the water is cold in spring."


class Terminal(io.StringIO):
    """Whatever is written is on the screen at once, as with a newline translated by the kernel."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    @property
    def rows(self) -> list[str]:
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        rows = [row.rstrip() for row in (*above, *self.screen.display)]
        while rows and not rows[-1]:
            rows.pop()
        return rows


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The terminal's columns and lines; change them to resize it."""
    current = [80, 24]
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((current[0], current[1])))
    return current


def shown(*events: TranscriptEvent, columns: int = 80, lines: int = 24) -> Terminal:
    terminal = Terminal(columns, lines)
    live = LiveCaptions(terminal)
    for event in events:
        live.take(event)
    return terminal


def test_a_partial_is_replaced_by_the_next(size: list[int]) -> None:
    assert shown(partial("Good"), partial("Good mourning")).rows == ["Good mourning"]
    assert shown(partial("Good mourning"), partial("Good")).rows == ["Good"]


def test_a_partial_follows_what_is_final(size: list[int]) -> None:
    terminal = shown(final(spoken("Good morning,"), ends=False), partial("every body"))
    assert terminal.rows == ["Good morning, every body"]


def test_each_utterance_ends_its_line(size: list[int]) -> None:
    terminal = shown(final(spoken("One."), 1), partial("Tw"), final(spoken("Two."), 2), END)
    assert terminal.rows == ["One.", "Two."]


def test_a_long_partial_is_wrapped_and_taken_away_whole(size: list[int]) -> None:
    terminal = shown(final(spoken("First."), 1), partial(LONG * 3), partial("Short."))
    assert terminal.rows == ["First.", "Short."]


def test_lines_break_at_spaces(size: list[int]) -> None:
    rows = shown(final(spoken(LONG))).rows
    assert " ".join(rows) == LONG
    assert all(len(row) <= 79 for row in rows)


def test_words_by_words_look_like_all_at_once(size: list[int]) -> None:
    words = spoken(LONG * 3)
    events = [final((word,), ends=False) for word in words]
    mixed = [event for one in events for event in (one, partial("and perhaps something else"))]
    assert shown(*mixed, END).rows == shown(final(words), END).rows


def test_wide_signs_are_counted_as_two(size: list[int]) -> None:
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 4
    terminal = shown(partial(text), partial(text[:50]), untimed(text, 0.0, 9.0))
    assert "".join(terminal.rows).replace(" ", "") == text


def test_more_than_the_screen_scrolls_and_is_never_drawn_twice(size: list[int]) -> None:
    size[:] = [40, 6]
    events = []
    for n in range(30):
        events += [partial(f"maybe {n} {LONG}"), final(spoken(f"Sentence {n} is here."), n)]
    assert shown(*events, columns=40, lines=6).rows == [f"Sentence {n} is here." for n in range(30)]


def test_a_partial_longer_than_the_screen_shows_its_end(size: list[int]) -> None:
    size[:] = [20, 4]
    terminal = shown(partial(LONG * 2), columns=20, lines=4)
    assert terminal.rows[-1].endswith("cold in spring.")
    assert len(terminal.rows) <= 4


def test_partials_are_faint_and_finals_are_not(size: list[int]) -> None:
    out = io.StringIO()
    live = LiveCaptions(out)
    live.take(final(spoken("Plain"), ends=False))
    live.take(partial("faint"))
    assert out.getvalue().endswith("Plain\x1b[2m faint\x1b[0m")


def test_the_model_cannot_command_the_terminal(size: list[int]) -> None:
    nasty = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md"
    out = io.StringIO()
    live = LiveCaptions(out)
    live.take(partial(nasty))
    live.take(final((TranscriptWord(f" {nasty}", 0.0, 1.0, 1.0),)))
    live.show_status(nasty)
    sequences = set(out.getvalue()) & {"\x07", "\x9b"}
    assert not sequences
    assert "\x1b]" not in out.getvalue() and "\x1b[2J" not in out.getvalue()


def test_a_narrower_window_leaves_nothing_behind(size: list[int]) -> None:
    """Terminals break rows that no longer fit; the emulator does not, so that we do it for it."""
    terminal = Terminal(40)
    live = LiveCaptions(terminal)
    live.take(partial("x" * 70))  # one row of 80, two of 40
    terminal.screen.reset()
    terminal.write("x" * 40 + "\n" + "x" * 30)
    size[0] = 40
    live.take(partial("short"))
    assert terminal.rows == ["short"]


def test_closing_takes_the_partial_away_and_ends_the_line(size: list[int]) -> None:
    terminal = Terminal()
    live = LiveCaptions(terminal)
    live.take(final(spoken("Kept"), ends=False))
    live.take(partial("not kept"))
    live.close()
    terminal.write("prompt")
    assert terminal.rows == ["Kept", "prompt"]
    live.close()
    assert terminal.rows == ["Kept", "prompt"]


def test_the_share_that_is_done_goes_away(size: list[int]) -> None:
    terminal = Terminal()
    live = LiveCaptions(terminal)
    live.show_status("[12 %]")
    assert terminal.rows == ["[12 %]"]
    live.take(final(spoken("Text.")))
    live.show_status("[100 %]")
    live.take(END)
    live.close()
    assert terminal.rows == ["Text."]


def test_an_emoji_of_several_code_points_is_one_character_of_two_cells(size: list[int]) -> None:
    family, out = "👨‍👩‍👧‍👦", io.StringIO()
    size[0] = 12  # eleven of them are used
    live = LiveCaptions(out)
    live.take(final(spoken(family * 8), ends=False))
    assert out.getvalue().split("\x1b[J")[-1].split("\n") == [family * 5, family * 3]
