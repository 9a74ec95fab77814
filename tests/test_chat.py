"""Conversations and the interactive session: answers scripted, screens and saved history compared whole."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_backend import Script, ScriptedBackend, scripted_runtime

from edge_runtime import chat as chat_module
from edge_runtime import state_files
from edge_runtime.chat import Conversation
from edge_runtime.cli.chat_session import ChatSession
from edge_runtime.cli.interrupts import Interrupts
from edge_runtime.cli.line_input import LineDropped
from edge_runtime.cli.memory_gauge import memory_line
from edge_runtime.cli.terminal import Screen
from edge_runtime.errors import BackendFailed, ContextFull, EngineClosed, OptionInvalid
from edge_runtime.history import Exchange, History
from edge_runtime.memory import Held, MemoryPart
from edge_runtime.records import FinishReason, GenerationKeywords, MemoryUsage
from edge_runtime.runtime import Runtime

MakeRuntime = Callable[..., tuple[Runtime, ScriptedBackend]]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "store" / "history.sqlite3") as opened:
        yield opened


@pytest.fixture
def make_runtime(tmp_path: Path) -> Iterator[MakeRuntime]:
    opened: list[Runtime] = []

    def make(scripts: list[Script], context_tokens: int = 4096) -> tuple[Runtime, ScriptedBackend]:
        runtime, backend = scripted_runtime(scripts, tmp_path / "model", context_tokens=context_tokens)
        opened.append(runtime)
        return runtime, backend

    yield make
    for runtime in opened:
        runtime.close()


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(exchange.question, exchange.answer) for exchange in conversation.exchanges]


def kept(history: History, conversation_id: int | None) -> list[tuple[str, str]]:
    assert conversation_id is not None
    return [(e.question, e.answer) for _, e in history.load(conversation_id).exchanges]


class Gate:
    """An answer that waits in its middle, so that a test can cancel it there."""

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self.released = threading.Event()

    def __iter__(self) -> Iterator[str]:
        yield self._before
        assert self.released.wait(10)
        yield self._after


# --- Conversation -------------------------------------------------------------------------


def test_an_answer_streams_and_is_saved_when_it_ends(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["It is blue.", "Really."])
    conversation = Conversation(runtime, model="m", system_prompt="Be brief.", history=history)
    answer = conversation.send("Why?")
    assert "".join(answer) == "It is blue."
    assert conversation.id is not None
    assert kept(history, conversation.id) == [("Why?", "It is blue.")]
    assert conversation.send("Really?").reply.text == "Really."
    assert kept(history, conversation.id) == [("Why?", "It is blue."), ("Really?", "Really.")]
    assert history.load(conversation.id).system_prompt == "Be brief."


def test_a_second_turn_evaluates_only_what_is_new(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime(["x" * 200, "y"])
    conversation = Conversation(runtime)
    conversation.send("w" * 300).reply  # noqa: B018 - reads the answer
    usage = conversation.send("Go on").reply.usage
    # <end> <start> "user" newline "Go on" <end> <start> "assistant" newline
    assert usage.prompt_tokens - usage.cached_tokens == 1 + 1 + 4 + 1 + 5 + 1 + 1 + 9 + 1


def test_a_cancelled_answer_is_kept_as_far_as_it_was_shown(
    make_runtime: MakeRuntime, history: History
) -> None:
    gate = Gate("Once upon ", "a time")
    runtime, _ = make_runtime([gate])
    conversation = Conversation(runtime, history=history)
    answer = conversation.send("A story")
    shown = ""
    while shown != "Once upon ":  # one piece a byte
        shown += next(answer)
    answer.cancel()
    gate.released.set()
    shown += "".join(answer)
    (exchange,) = conversation.exchanges
    assert exchange.finish_reason is FinishReason.CANCELLED
    assert exchange.answer == shown and shown.startswith("Once upon ") and len(shown) <= len("Once upon a")
    assert kept(history, conversation.id) == [("A story", shown)]


def test_cancelled_before_the_first_word_nothing_is_kept(make_runtime: MakeRuntime, history: History) -> None:
    gate = Gate("somebody else's ", "answer")
    runtime, _ = make_runtime([gate, "Blue."])
    other = runtime.generate("first in the queue", stream=True)
    next(other)  # it is being written now
    conversation = Conversation(runtime, history=history)
    answer = conversation.send("Why?")
    answer.cancel()
    gate.released.set()
    assert answer.reply.text == ""
    assert conversation.exchanges == () and conversation.id is None
    assert conversation.send("Why?").reply.text == "Blue."


def test_a_retry_replaces_the_answer_here_and_in_the_history(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, backend = make_runtime(["first", "second", "third"])
    options = GenerationKeywords(seed=7)
    conversation = Conversation(runtime, history=history, options=options)
    conversation.send("Why?").reply  # noqa: B018
    assert conversation.retry().reply.text == "second"
    assert conversation.retry().reply.text == "third"
    assert said(conversation) == kept(history, conversation.id) == [("Why?", "third")]
    assert backend.seeds == [7, 8, 9]  # the same seed would say the same again


def test_a_retry_that_fails_leaves_the_old_answer(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["good", BackendFailed("broken")])
    conversation = Conversation(runtime, history=history)
    conversation.send("Why?").reply  # noqa: B018
    with pytest.raises(BackendFailed):
        conversation.retry().reply  # noqa: B018
    assert said(conversation) == kept(history, conversation.id) == [("Why?", "good")]


def test_undo_takes_the_last_exchange_back(make_runtime: MakeRuntime, history: History) -> None:
    runtime, backend = make_runtime(["one", "two", "three"])
    conversation = Conversation(runtime, history=history)
    for question in ("first", "second"):
        conversation.send(question).reply  # noqa: B018
    undone = conversation.undo()
    assert undone is not None and undone.question == "second"
    conversation.send("third").reply  # noqa: B018
    assert kept(history, conversation.id) == [("first", "one"), ("third", "three")]
    assert [m["content"] for m in conversation.messages()] == ["first", "one", "third", "three"]
    assert backend.scripts == []
    conversation.undo(), conversation.undo()
    assert conversation.undo() is None


def test_retry_without_an_answer_and_an_empty_message_are_refused(make_runtime: MakeRuntime) -> None:
    conversation = Conversation(make_runtime([])[0])
    with pytest.raises(OptionInvalid, match="no answer to replace"):
        conversation.retry()
    with pytest.raises(OptionInvalid, match="empty"):
        conversation.send(" \n")


def test_a_changed_system_prompt_counts_from_the_next_answer_on(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, _ = make_runtime(["one", "two"])
    conversation = Conversation(runtime, system_prompt="Old.", history=history)
    conversation.send("first").reply  # noqa: B018
    conversation.set_system_prompt("New.")
    reply = conversation.send("second").reply
    assert conversation.messages()[0] == {"role": "system", "content": "New."}
    assert conversation.id is not None and history.load(conversation.id).system_prompt == "New."
    assert reply.usage.cached_tokens == len("xsystem\n")  # all behind it is evaluated anew


def test_a_new_conversation_leaves_the_old_one_as_it_was(make_runtime: MakeRuntime, history: History) -> None:
    conversation = Conversation(make_runtime(["one", "two"])[0], history=history)
    conversation.send("first").reply  # noqa: B018
    old = conversation.id
    conversation.start_new()
    conversation.send("second").reply  # noqa: B018
    assert conversation.id != old
    assert (kept(history, old), kept(history, conversation.id)) == ([("first", "one")], [("second", "two")])


def test_undecodable_bytes_from_a_terminal_can_be_sent_and_saved(
    make_runtime: MakeRuntime, history: History
) -> None:
    conversation = Conversation(make_runtime(["one"])[0], history=history)
    conversation.send("caf\udce9").reply  # noqa: B018
    assert kept(history, conversation.id) == [("caf?", "one")]


# --- when the context is full --------------------------------------------------------------


def test_a_full_context_drops_old_turns_in_one_go_and_says_so_once(make_runtime: MakeRuntime) -> None:
    turns = 40
    runtime, _ = make_runtime(["y" * 30] * turns, context_tokens=600)
    conversation = Conversation(runtime, system_prompt="Be brief.")
    notices, evaluated_anew = [], 0
    for number in range(turns):
        usage = conversation.send(f"{number} " + "z" * 30).reply.usage
        evaluated_anew += usage.prompt_tokens - usage.cached_tokens > 100
        notices += conversation.take_notices()
    assert notices == ["the context of 600 tokens is full: the model no longer sees the oldest turns"]
    assert len(conversation.exchanges) == turns  # nothing is lost but to the model
    assert conversation.messages()[0]["content"] == "Be brief."
    # A turn takes about 85 tokens and half the room of 450 is freed at once: every third turn
    # or so begins with a new prefix. Dropping one turn at a time would do so at all the 34.
    assert 5 <= evaluated_anew <= 17


def test_a_message_that_is_too_long_changes_nothing(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime(["one", "two"], context_tokens=300)
    conversation = Conversation(runtime)
    conversation.send("first").reply  # noqa: B018
    with pytest.raises(ContextFull):
        conversation.send("w" * 1000)
    usage = conversation.send("second").reply.usage
    assert usage.cached_tokens > len("first")  # the first turn is still shown
    assert said(conversation) == [("first", "one"), ("second", "two")]


# --- history in trouble, states, resuming ---------------------------------------------------


def test_a_disk_that_fills_up_does_not_end_the_conversation_and_nothing_stays_unsaved(
    make_runtime: MakeRuntime, history: History
) -> None:
    conversation = Conversation(make_runtime(["a" * 1500, "b" * 1500, "c"])[0], history=history)
    full = history._database.execute("PRAGMA page_count").fetchone()[0]
    history._database.execute(f"PRAGMA max_page_count = {full}")
    notices = []
    for question in ("first", "second"):
        conversation.send(question).reply  # noqa: B018
        notices += conversation.take_notices()
    assert len(notices) == 1 and "not being saved" in notices[0] and "full" in notices[0]
    history._database.execute("PRAGMA max_page_count = 100000")
    conversation.send("third").reply  # noqa: B018
    assert kept(history, conversation.id) == said(conversation)
    assert [question for question, _ in said(conversation)] == ["first", "second", "third"]


def test_a_conversation_goes_on_in_another_process_without_being_evaluated_again(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, _ = make_runtime(["x" * 100])
    with Conversation(runtime, model="m", system_prompt="Be brief.", history=history) as conversation:
        conversation.send("w" * 500).reply  # noqa: B018
    runtime.close()
    runtime, backend = make_runtime(["y"])
    saved = history.load(history.latest() or 0)
    resumed = Conversation.resume(runtime, history, saved)
    assert said(resumed) == said(conversation)
    assert resumed.send("Go on").reply.usage.cached_tokens > 600
    assert backend.evaluated_tokens < 50
    assert kept(history, saved.id) == said(resumed)


def test_resuming_also_works_without_the_state(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["one"])
    with Conversation(runtime, history=history) as conversation:
        conversation.send("first").reply  # noqa: B018
    state_files.delete_state(history, conversation.id or 0)
    resumed = Conversation.resume(make_runtime(["two"])[0], history, history.load(conversation.id or 0))
    assert resumed.send("second").reply.usage.cached_tokens == 0
    assert said(resumed) == [("first", "one"), ("second", "two")]


def test_turns_that_were_dropped_stay_dropped_when_resuming(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, _ = make_runtime(["y" * 30] * 12, context_tokens=600)
    with Conversation(runtime, history=history) as conversation:
        for _ in range(12):
            conversation.send("z" * 30).reply  # noqa: B018
    shown = conversation.messages()
    assert len(shown) < 24
    runtime, backend = make_runtime(["y"], context_tokens=600)
    resumed = Conversation.resume(runtime, history, history.load(conversation.id or 0))
    assert resumed.messages() == shown
    resumed.send("z").reply  # noqa: B018
    assert backend.evaluated_tokens < 50


def test_the_state_is_saved_now_and_then_so_that_a_killed_process_costs_little(
    make_runtime: MakeRuntime, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "_SAVE_STATE_EVERY_TOKENS", 100)
    conversation = Conversation(make_runtime(["x" * 10, "y" * 90, "z"])[0], history=history)
    saved_after = []
    for question in ("first", "second", "third"):
        conversation.send(question).reply  # noqa: B018
        conversation.save_state_if_due()
        saved_after.append(len(history.states()) and history.states()[0].size_bytes)
    assert saved_after[0] == 0 and saved_after[1] > 0 and saved_after[2] == saved_after[1]


# --- the interactive session ------------------------------------------------------------------


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
        "> /save talk.md\ntalk.md: not written: File exists\n"
        "> /save\n/save FILE: name a file that does not exist yet\n"
        "> /undo\nTaken back: Hi\n"
        "> /new\nA new conversation.\n"
        "> /nothing\n/nothing: no such command; /help lists them\n"
        "> Hello\nfresh\n[6 tokens at #/s; prompt 39 new, 1 cached]\n\n"
        "> /q\n/q: no such command; /help lists them\n"
        "> \n"
    )
    assert (tmp_path / "talk.md").read_text() == "System prompt: Be kind.\n\n> Hi\n\nbetter answer\n"


MEMORY_LINE = r"\[memory [0-9.]+ [MG]iB: [0-9.]+ anonymous, [0-9.]+ files(; read \d+ [KMG]?B/token)?\]"


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
        MemoryPart("body", 2**30, Held.FILE),
        MemoryPart("KV cache", 3 * 2**20, Held.ANONYMOUS),
        MemoryPart("per-layer embeddings", 2**31, Held.FLASH),
    )
    runtime.plan = replace(runtime.plan, parts=parts)
    screen = play(Conversation(runtime), runtime, ["/memory", "Really?", "/memory"])
    table = (
        "PLANNED PART                        SIZE  HELD\n"
        "body                            1.00 GiB  file\n"
        "KV cache                        3.00 MiB  anonymous\n"
        "per-layer embeddings            2.00 GiB  flash\n"
        "in memory                       1.00 GiB\n\n"
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
            "[memory 1.63/1.86 GiB: 1.15 anonymous, 0.48 files, 4 MB rows; read 12 KB/token]",
        ),
        (
            MemoryUsage(None, 90_000_000, 200_000_000, 0, 0, 0),
            0.0,
            "[memory 277 MiB: 86 anonymous, 191 files; read 0 B/token]",
        ),
        (
            MemoryUsage(400 * 2**30, 123 * 2**30, 56 * 2**30, 0, 0, 999_000_000),
            999_000_000.0,  # what does not fit is left out
            "[memory 179.00/400.00 GiB: 123.00 anonymous, 56.00 files, 999 MB rows]",
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
    reply = runtime.generate("Really?")
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
        conversation.send(question).reply  # noqa: B018
    resumed = Conversation.resume(runtime, history, history.load(conversation.id or 0))
    screen = play(resumed, runtime, [])
    assert screen == GREETING + "conversation 1, 2 turns so far\n\n> second\n. line\ntwo\n\n> \n"


def test_a_stopped_answer_is_marked(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["one"])
    conversation = Conversation(runtime, history=history)
    conversation.send("first").reply  # noqa: B018
    assert conversation.id is not None and conversation.last_reply is not None
    usage = conversation.last_reply.usage
    history.put(conversation.id, Exchange("Why?", "Beca", FinishReason.CANCELLED, usage))
    resumed = Conversation.resume(runtime, history, history.load(conversation.id))
    assert "> Why?\nBeca [stopped]\n" in play(resumed, runtime, [])
