from __future__ import annotations

import io
import signal
import sys
import time
from pathlib import Path

import pytest

from edge_runtime.cli.screen.errors import error_text
from edge_runtime.cli.screen.interrupts import Interrupts
from edge_runtime.cli.screen.terminal import Screen, WordWrap
from edge_runtime.errors import OptionInvalid
from edge_runtime.values.display_text import clean, one_line, text_columns

if sys.platform != "win32":
    from support.pseudo_terminal import PseudoTerminal, child_environment


def wrapped(text: str, columns: int, piece: int = 1) -> str:
    wrap = WordWrap(columns)
    return "".join(wrap.push(text[i : i + piece]) for i in range(0, len(text), piece)) + wrap.finish()


@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two\nthree"),
        ("one two  three", "one two\nthree"),
        ("exactly 10 more", "exactly 10\nmore"),
        ("a\n\n  indented text", "a\n\n  indented\ntext"),
        ("abcdefghijklmno xy", "abcdefghij\nklmno xy"),
        (
            "```\nlong code stays whole\n```\nbut this does not",
            "```\nlong code stays whole\n```\nbut this\ndoes not",
        ),
        ("日本 語日本語", "日本\n語日本語"),
        ("trailing \n  ", "trailing \n  "),
    ],
)
def test_lines_break_at_spaces_however_the_text_arrives(text: str, shown: str, piece: int) -> None:
    assert wrapped(text, 10, piece) == shown


def test_nothing_is_lost_or_added_but_line_breaks() -> None:
    text = "Wörter, 日本語 and \U0001f600 emoji; " * 20 + "x" * 200
    assert wrapped(text, 20).replace("\n", "").replace(" ", "") == text.replace(" ", "")
    assert all(text_columns(line) <= 20 for line in wrapped(text, 20).split("\n"))


@pytest.mark.parametrize(
    "character", [chr(code) for code in (*range(32), *range(127, 160)) if code not in (9, 10)]
)
def test_no_control_character_reaches_the_terminal(character: str) -> None:
    assert clean(f"a{character}[31mb\n\tc") == "a[31mb\n\tc"


def test_signs_that_turn_the_direction_of_writing_are_removed() -> None:
    assert clean("user\u202e\u2066txt.exe\u2069") == "usertxt.exe"


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("a\nb\tc", 9, "a b c"), ("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("日本語日本", 6, "日本…")],
)
def test_one_line_is_cut_to_its_columns(text: str, columns: int, shown: str) -> None:
    assert one_line(text, columns) == shown
    assert text_columns(shown) <= columns


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_the_very_text_and_one_newline() -> None:
    out = io.StringIO()
    screen = Screen(out, io.StringIO())
    for piece in ("a\x1b[1m", "b " * 100, "\n"):
        screen.show(piece)
    screen.end_answer()
    assert out.getvalue() == "a\x1b[1m" + "b " * 100 + "\n\n"


@pytest.mark.parametrize(("answer", "shown"), [("yes", "yes\n"), ("yes\n", "yes\n"), ("", "")])
def test_on_a_terminal_an_answer_ends_its_line_once(answer: str, shown: str) -> None:
    out = Tty()
    screen = Screen(out, io.StringIO())
    screen.show(answer)
    screen.end_answer()
    assert out.getvalue() == shown


@pytest.mark.parametrize(
    ("environment", "styled"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_notes_are_styled_only_where_that_is_wanted(
    environment: dict[str, str], styled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal, file = Tty(), io.StringIO()
    Screen(Tty(), terminal).faint("cost")
    Screen(Tty(), file).faint("cost")
    assert ("\x1b" in terminal.getvalue()) is styled
    assert file.getvalue() == "cost\n"


def test_the_busy_line_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Tty()
    with Screen(Tty(), terminal).busy("loading m") as line:
        line.advance(0.5)
        line.advance(0.501)
    assert terminal.getvalue() == "\rloading m\rloading m 50 %\r              \r"


def test_a_log_file_gets_no_busy_line() -> None:
    file = io.StringIO()
    with Screen(Tty(), file).busy("loading m") as line:
        line.advance(0.5)
    assert file.getvalue() == ""


# --- Ctrl-C ---------------------------------------------------------------------------------


def test_ctrl_c_calls_what_the_moment_asks_for_and_raises_nothing() -> None:
    stopped: list[int] = []
    with Interrupts() as interrupts, interrupts.during(lambda: stopped.append(1)):
        signal.raise_signal(signal.SIGINT)
    assert stopped == [1]
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_just_before_the_answer_begins_stops_it_too() -> None:
    stopped: list[int] = []
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with interrupts.during(lambda: stopped.append(1)):
            pass
        interrupts.clear()
        with interrupts.during(lambda: stopped.append(2)):
            pass
    assert stopped == [1]


def test_who_presses_three_times_gets_out() -> None:
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)


def test_a_parent_that_ignores_ctrl_c_is_respected() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# --- typing, on a real pseudo-terminal ----------------------------------------------------------

READER = """
import time
from edge_runtime.cli.screen.interrupts import Interrupts
from edge_runtime.cli.screen.line_input import LineDropped, LineInput
from edge_runtime.cli.screen.terminal import Screen
with Interrupts() as interrupts:
    lines = LineInput(Screen(), interrupts)
    while True:
        try:
            print("READ", ascii(lines.read_message()), flush=True)
        except LineDropped as dropped:
            print("DROPPED", dropped.had_text, flush=True)
        except EOFError:
            print("END", flush=True)
            break
"""


def reader(folder: Path, term: str = "xterm") -> PseudoTerminal:
    environment = child_environment(TERM=term, LC_ALL="C.UTF-8")
    return PseudoTerminal([sys.executable, "-c", READER], environment, folder)


needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")


@needs_pty
@pytest.mark.parametrize("term", ["xterm", "dumb"])
@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("hello\n", "'hello'"),
        ("first \\\nsecond\n", r"'first \nsecond'"),
        ('"""\none\n\ntwo\n"""\n', r"'one\n\ntwo'"),
        ('"""one\ntwo"""\n', r"'one\ntwo'"),
        ("caf\u00e9 \U0001f600\n", r"'caf\xe9 \U0001f600'"),
        ("/help\n", "'/help'"),
    ],
)
def test_messages_of_one_and_of_several_lines(tmp_path: Path, typed: str, read: str, term: str) -> None:
    with reader(tmp_path, term) as terminal:
        terminal.wait_for("> ")
        *first_lines, last_line = typed.splitlines(keepends=True)
        for line in first_lines:
            terminal.type(line)
            terminal.wait_for(". ")
        terminal.type(last_line)
        terminal.wait_for("READ")
        assert terminal.wait_for("\n").strip() == read
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.wait() == 0 and "END" in terminal.output


@needs_pty
@pytest.mark.parametrize(
    ("term", "pasted"),
    [("xterm", "\x1b[200~one\n/two\nthree\x1b[201~"), ("dumb", "one\ntwo\nthree")],
)
def test_pasted_lines_are_one_message(tmp_path: Path, term: str, pasted: str) -> None:
    with reader(tmp_path, term) as terminal:
        terminal.wait_for("> ")
        terminal.type(pasted + "\n")
        terminal.wait_for("READ ")
        middle = "/two" if term == "xterm" else "two"
        assert terminal.wait_for("\n").strip() == rf"'one\n{middle}\nthree'"
        asks_for_marks = "\x1b[?2004h" in terminal.output
        assert asks_for_marks is (term == "xterm")


@needs_pty
@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_what_a_script_types_ahead_keeps_its_commands_apart(tmp_path: Path, term: str) -> None:
    with reader(tmp_path, term) as terminal:
        terminal.wait_for("> ")
        terminal.type("hello\n/quit\n")
        terminal.wait_for("READ 'hello'")
        terminal.wait_for("READ '/quit'")


def press_ctrl_c(terminal: PseudoTerminal) -> None:
    """Python's readline sees a signal only while it waits for a key: not the moment the prompt is there."""
    time.sleep(0.3)
    terminal.type("\x03")


@needs_pty
def test_ctrl_c_says_whether_there_was_something_to_drop(tmp_path: Path) -> None:
    with reader(tmp_path) as terminal:
        terminal.wait_for("> ")
        press_ctrl_c(terminal)
        terminal.wait_for("DROPPED False")
        terminal.wait_for("> ")
        terminal.type("half a line")
        terminal.wait_for("half a line")
        press_ctrl_c(terminal)
        terminal.wait_for("DROPPED True")
        terminal.wait_for("> ")
        terminal.type('"""\n')
        terminal.wait_for(". ")
        press_ctrl_c(terminal)
        terminal.wait_for("DROPPED True")
        terminal.wait_for("> ")
        terminal.type("next\n")
        terminal.wait_for("READ 'next'")


@needs_pty
def test_a_dumb_terminal_gets_no_escape_sequences(tmp_path: Path) -> None:
    with reader(tmp_path, "dumb") as terminal:
        terminal.wait_for("> ")
        terminal.type("hello\n")
        terminal.wait_for("READ")
        assert "\x1b" not in terminal.output


@needs_pty
def test_what_was_typed_is_not_written_to_a_file(tmp_path: Path) -> None:
    with reader(tmp_path) as terminal:
        terminal.wait_for("> ")
        terminal.type("secret\n")
        terminal.wait_for("READ")
        terminal.wait_for("> ")
        terminal.type("\x04")
        terminal.wait()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_error_speaks_of_options_and_is_wrapped_to_the_terminal() -> None:
    error = OptionInvalid(
        "kv_type: 'f33' is not known, \x1b[2Jand never will be", hint="give kv_type='f16'", option="kv_type"
    )
    assert error_text(error) == "error: --kv: 'f33' is not known, [2Jand never will be\n  hint: give --kv f16"
    assert error_text(error, columns=31) == (
        "error: --kv: 'f33' is not\n    known, [2Jand never will be\n  hint: give --kv f16"
    )


@pytest.mark.parametrize(
    ("message", "option", "shown"),
    [
        ("micro_batch: is none", "micro_batch", "--micro-batch: is none"),
        ("no prompt: it is empty", "prompt", "no prompt: it is empty"),
    ],
)
def test_an_option_of_the_command_line_alone_gets_its_dashes(message: str, option: str, shown: str) -> None:
    assert error_text(OptionInvalid(message, option=option)) == f"error: {shown}"
