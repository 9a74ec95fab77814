"""The interactive session: answers scripted, whole screens compared."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.conversations import kept
from support.scripted_backend import MakeRuntime

from edge_runtime.assistant.conversation import Conversation
from edge_runtime.assistant.history import Exchange, History
from edge_runtime.cli.screen.chat_session import ChatSession
from edge_runtime.cli.screen.interrupts import Interrupts
from edge_runtime.cli.screen.line_input import LineDropped
from edge_runtime.cli.screen.memory_gauge import memory_line
from edge_runtime.cli.screen.terminal import Screen
from edge_runtime.errors import BackendFailed, EngineClosed
from edge_runtime.memory import Held, MemoryPart
from edge_runtime.memory.part import PartKind
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import FinishReason, MemoryUsage


class Terminal(io.StringIO):
    """Both stdout and stderr of a session, in the order a person sees it."""

    def isatty(self) -> bool:
        return True


class Typist:
    """Types each line at its prompt; it appears on the screen as the terminal would echo it."""

    def __init__(self, terminal: Terminal, lines: list[str | BaseException]) -> None:
        self._terminal, self._lines = terminal, lines

    def __call__(self) -> str:
        line = self._lines.pop(0) if self._lines else EOFError()
        self._terminal.write("> ")
        if isinstance(line, BaseException):
            raise line
        self._terminal.write(line + "\n")
        return line


def play(
    conversation: Conversation,
    runtime: Runtime,
    lines: list[str | BaseException],
    *,
    shows_memory: bool = False,
) -> str:
    """The whole screen after a session; numbers that vary are replaced by #."""
    terminal = Terminal()
    with Interrupts() as interrupts:
        screen = Screen(terminal, terminal)
        typist = Typist(terminal, lines)
        ChatSession(conversation, runtime, screen, interrupts, typist, shows_memory=shows_memory).run()
    return re.sub(r"at [0-9.]+/s", "at #/s", terminal.getvalue())


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


GREETING = """\
scripted, 4096 tokens of context.
/help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves.

"""


def test_the_whole_screen_of_a_short_conversation(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["Because of the air.\nIt scatters blue light.\n", "Yes."])
    conversation = Conversation(runtime, history=history)
    screen = play(conversation, runtime, ["Why is the sky blue?", "", "Really?", "/quit"])
    assert screen == GREETING + (
        "> Why is the sky blue?\n"
        "Because of the air.\n"
        "It scatters blue light.\n"
        "[45 tokens at #/s; prompt 38 new, 0 cached]\n"
        "\n"
        "> \n"
        "> Really?\n"
        "Yes.\n"
        "[5 tokens at #/s; prompt 26 new, 82 cached]\n"
        "\n"
        "> /quit\n"
    )


def test_the_whole_screen_of_every_command(
    make_runtime: MakeRuntime, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = make_runtime(["first answer", "better answer", "fresh"])
    conversation = Conversation(runtime, history=history)
    monkeypatch.chdir(tmp_path)
    lines: list[str | BaseException] = ["/undo", "/retry", "/history", "Hi", "/retry", "/system Be kind."]
    lines += [
        "/history",
        "/save talk.md",
        "/save talk.md",
        "/save",
        "/undo",
        "/new",
        "/nothing",
        "Hello",
        "/q",
    ]
    screen = play(conversation, runtime, lines)
    assert screen.removeprefix(GREETING) == (
        "> /undo\nThere is nothing to take back.\n"
        "> /retry\nerror: there is no answer to replace yet\n  hint: say something\n"
        "> /history\nNothing was said yet.\n"
        "> Hi\nfirst answer\n[13 tokens at #/s; prompt 20 new, 0 cached]\n\n"
        "> /retry\nbetter answer\n[14 tokens at #/s; prompt 1 new, 19 cached]\n\n"
        "> /system Be kind.\nSystem prompt: Be kind.\n"
        "> /history\n> Hi\nbetter answer\n\n"
        "> /save talk.md\nWritten: talk.md\n"
        "> /save talk.md\nnot written: talk.md exists already\n"
        "> /save\n/save FILE: name a file that does not exist yet\n"
        "> /undo\nTaken back: Hi\n"
        "> /new\nA new conversation.\n"
        "> /nothing\n/nothing: no such command; /help lists them\n"
        "> Hello\nfresh\n[6 tokens at #/s; prompt 39 new, 1 cached]\n\n"
        "> /q\n/q: no such command; /help lists them\n"
        "> \n"
    )
    assert (tmp_path / "talk.md").read_text() == "System prompt: Be kind.\n\n> Hi\n\nbetter answer\n"


MEMORY_LINE = r"\[memory [0-9.]+ [MG]B: [0-9.]+ anonymous, [0-9.]+ files(; read [0-9.]+ [KMG]?B/token)?\]"


def test_what_is_held_stands_below_each_answer_when_asked_for(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime(["Because.", "Yes."])
    screen = play(Conversation(runtime), runtime, ["Why?", "Really?"], shows_memory=True)
    lines = screen.splitlines()
    shown = [number for number, line in enumerate(lines) if line.startswith("[memory")]
    assert len(shown) == 2
    for number in shown:
        assert lines[number - 1].startswith("[") and "tokens" in lines[number - 1]
        assert re.fullmatch(MEMORY_LINE, lines[number]) and "/token" in lines[number]
        assert lines[number + 1] == ""


def test_memory_shows_the_plan_and_what_is_held(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime(["Yes."])
    parts = (
        MemoryPart(PartKind.BODY, 2**30, Held.FILE),
        MemoryPart(PartKind.KV_CACHE, 3 * 2**20, Held.ANONYMOUS),
        MemoryPart(PartKind.PLE, 2**31, Held.FLASH),
    )
    runtime._opened = replace(runtime._opened, plan=replace(runtime.plan, parts=parts))
    screen = play(Conversation(runtime), runtime, ["/memory", "Really?", "/memory"])
    table = (
        "PLANNED PART                        SIZE  HELD\n"
        "body                             1.07 GB  file\n"
        "KV cache                         3.15 MB  anonymous\n"
        "per-layer embeddings             2.15 GB  flash\n"
        "in memory                        1.08 GB\n\n"
    )
    assert screen.count("> /memory\n" + table) == 2
    before, after = re.findall(r"\n\n(\[memory.*)", screen)
    assert re.fullmatch(MEMORY_LINE, before) and "/token" not in before
    assert re.fullmatch(MEMORY_LINE, after) and "/token" in after


@pytest.mark.parametrize(
    ("usage", "reread", "line"),
    [
        (
            MemoryUsage(2_000_000_000, 1_234_567_890, 515_000_000, 0, 0, 4_100_000),
            12_345.6,
            "[memory 1.75/2.00 GB: 1.23 anonymous, 0.52 files, 4.1 MB rows; read 12 KB/token]",
        ),
        (
            MemoryUsage(None, 90_000_000, 200_000_000, 0, 0, 0),
            0.0,
            "[memory 290 MB: 90 anonymous, 200 files; read 0 B/token]",
        ),
        (
            MemoryUsage(4 * 10**16, 123 * 10**14, 56 * 10**14, 0, 0, 999_000_000),
            999_000_000.0,  # what does not fit is left out
            "[memory 17900/40000 TB: 12300 anonymous, 5600 files, 999 MB rows]",
        ),
        (MemoryUsage(10**9, 0, 0, 0, 0, 0), None, "[memory is not told by this system]"),
    ],
)
def test_the_memory_line_fits_80_columns(
    make_runtime: MakeRuntime,
    monkeypatch: pytest.MonkeyPatch,
    usage: MemoryUsage,
    reread: float | None,
    line: str,
) -> None:
    runtime, _ = make_runtime(["Yes."])
    reply = runtime.generate("Really?", raw=True)
    reply = replace(reply, timings=replace(reply.timings, reread_bytes_per_token=reread or 0.0))
    monkeypatch.setattr(runtime, "memory_usage", lambda: usage)
    assert memory_line(runtime, None if reread is None else reply) == line
    assert len(line) <= 80


def test_a_transcript_as_json_holds_the_messages(make_runtime: MakeRuntime, tmp_path: Path) -> None:
    runtime, _ = make_runtime(["Grüße"])
    play(Conversation(runtime), runtime, ["Hi", f"/save {tmp_path / 'talk.json'}"])
    assert json.loads((tmp_path / "talk.json").read_text(encoding="utf-8")) == {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Grüße"}]
    }


def test_save_writes_no_pipe_and_says_a_full_disk(
    make_runtime: MakeRuntime, tmp_path: Path, small_disk: Path
) -> None:
    runtime, _ = make_runtime(["Answer."])
    pipe, talk = tmp_path / "pipe", small_disk / "talk.md"
    os.mkfifo(pipe)
    (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096))
    shown = " ".join(play(Conversation(runtime), runtime, ["Hi", f"/save {pipe}", f"/save {talk}"]).split())
    assert "/pipe is a pipe or a device" in shown
    assert "not written: no room in " in shown
    assert pipe.is_fifo() and not talk.exists()


def test_help_fits_the_terminal_and_names_every_command(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime([])
    screen = play(Conversation(runtime), runtime, ["/help"])
    for name in ("/new", "/retry", "/undo", "/system", "/history", "/save", "/stats", "/memory", "/quit"):
        assert f"\n{name}" in screen
    assert len(screen.splitlines()) < 24


def test_ctrl_c_at_an_empty_prompt_says_how_to_leave_and_the_second_one_leaves(
    make_runtime: MakeRuntime,
) -> None:
    runtime, _ = make_runtime([])
    empty, typed = LineDropped(had_text=False), LineDropped(had_text=True)
    screen = play(Conversation(runtime), runtime, [empty, typed, empty, empty, "never read"])
    hint = "Ctrl-C again leaves; so do Ctrl-D and /quit.\n"
    assert screen == GREETING + f"> \n{hint}> \n> \n{hint}> \n"


def test_an_error_is_shown_and_the_session_goes_on(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime([BackendFailed("it broke", hint="try again"), "Fine."])
    screen = play(Conversation(runtime), runtime, ["Hi", "Hi"])
    assert "> Hi\nerror: it broke\n  hint: try again\n> Hi\nFine.\n" in screen


def test_a_closed_engine_ends_the_session(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime([])
    runtime.close()
    with pytest.raises(EngineClosed):
        play(Conversation(runtime), runtime, ["Hi"])


def test_what_the_model_says_cannot_steer_the_terminal(make_runtime: MakeRuntime, history: History) -> None:
    nasty = "a\x1b[2J\x1b]0;title\x07b\rc\x08\x9b31md\x00\u202ee"
    runtime, _ = make_runtime([nasty])
    conversation = Conversation(runtime, history=history)
    screen = play(conversation, runtime, ["Hi", "/history"])
    assert "a[2J]0;titlebc31mde\n" in screen
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", screen)
    assert kept(history, conversation.id) == [("Hi", nasty)]  # kept as it was said


def test_a_resumed_conversation_shows_where_it_stopped(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["one", "two"])
    conversation = Conversation(runtime, history=history)
    for question in ("first", "second\nline"):
        conversation.send(question).result()
    resumed = Conversation.resume(runtime, history, history.load(conversation.id or 0))
    screen = play(resumed, runtime, [])
    assert screen == GREETING + "conversation 1, 2 turns so far\n\n> second\n. line\ntwo\n\n> \n"


def test_a_stopped_answer_is_marked(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["one"])
    conversation = Conversation(runtime, history=history)
    conversation.send("first").result()
    assert conversation.id is not None and conversation.last_reply is not None
    usage = conversation.last_reply.usage
    history.put(conversation.id, Exchange("Why?", "Beca", FinishReason.CANCELLED, usage))
    resumed = Conversation.resume(runtime, history, history.load(conversation.id))
    assert "> Why?\nBeca [stopped]\n" in play(resumed, runtime, [])
