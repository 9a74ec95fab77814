"""Conversations: answers scripted, what was said compared with the saved history."""

from __future__ import annotations

import pytest
from support.conversations import Gate, kept, said
from support.scripted_backend import MakeRuntime

from edge_runtime.assistant import conversation as chat_module
from edge_runtime.assistant import state_files
from edge_runtime.assistant.conversation import Conversation
from edge_runtime.assistant.history import History
from edge_runtime.errors import BackendFailed, ContextFull, OptionInvalid
from edge_runtime.values.records import FinishReason, GenerationKeywords


def test_an_answer_streams_and_is_saved_when_it_ends(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["It is blue.", "Really."])
    conversation = Conversation(runtime, model="m", system_prompt="Be brief.", history=history)
    answer = conversation.send("Why?")
    assert "".join(answer) == "It is blue."
    assert conversation.id is not None
    assert kept(history, conversation.id) == [("Why?", "It is blue.")]
    assert conversation.send("Really?").result().text == "Really."
    assert kept(history, conversation.id) == [("Why?", "It is blue."), ("Really?", "Really.")]
    assert history.load(conversation.id).system_prompt == "Be brief."


def test_a_second_turn_evaluates_only_what_is_new(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime(["x" * 200, "y"])
    conversation = Conversation(runtime)
    conversation.send("w" * 300).result()
    usage = conversation.send("Go on").result().usage
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
    assert answer.result().text == ""
    assert conversation.exchanges == () and conversation.id is None
    assert conversation.send("Why?").result().text == "Blue."


def test_a_retry_replaces_the_answer_here_and_in_the_history(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, backend = make_runtime(["first", "second", "third"])
    options = GenerationKeywords(seed=7)
    conversation = Conversation(runtime, history=history, options=options)
    conversation.send("Why?").result()
    assert conversation.retry().result().text == "second"
    assert conversation.retry().result().text == "third"
    assert said(conversation) == kept(history, conversation.id) == [("Why?", "third")]
    assert backend.seeds == [7, 8, 9]  # the same seed would say the same again


def test_a_retry_that_fails_leaves_the_old_answer(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["good", BackendFailed("broken")])
    conversation = Conversation(runtime, history=history)
    conversation.send("Why?").result()
    with pytest.raises(BackendFailed):
        conversation.retry().result()
    assert said(conversation) == kept(history, conversation.id) == [("Why?", "good")]


def test_undo_takes_the_last_exchange_back(make_runtime: MakeRuntime, history: History) -> None:
    runtime, backend = make_runtime(["one", "two", "three"])
    conversation = Conversation(runtime, history=history)
    for question in ("first", "second"):
        conversation.send(question).result()
    undone = conversation.undo()
    assert undone is not None and undone.question == "second"
    conversation.send("third").result()
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
    conversation.send("first").result()
    conversation.set_system_prompt("New.")
    reply = conversation.send("second").result()
    assert conversation.messages()[0] == {"role": "system", "content": "New."}
    assert conversation.id is not None and history.load(conversation.id).system_prompt == "New."
    assert reply.usage.cached_tokens == len("xsystem\n")  # all behind it is evaluated anew


def test_a_new_conversation_leaves_the_old_one_as_it_was(make_runtime: MakeRuntime, history: History) -> None:
    conversation = Conversation(make_runtime(["one", "two"])[0], history=history)
    conversation.send("first").result()
    old = conversation.id
    conversation.start_new()
    conversation.send("second").result()
    assert conversation.id != old
    assert (kept(history, old), kept(history, conversation.id)) == ([("first", "one")], [("second", "two")])


def test_undecodable_bytes_from_a_terminal_can_be_sent_and_saved(
    make_runtime: MakeRuntime, history: History
) -> None:
    conversation = Conversation(make_runtime(["one"])[0], history=history)
    conversation.send("caf\udce9").result()
    assert kept(history, conversation.id) == [("caf?", "one")]


# --- when the context is full --------------------------------------------------------------


def test_a_full_context_drops_old_turns_in_one_go_and_says_so_once(make_runtime: MakeRuntime) -> None:
    turns = 40
    runtime, _ = make_runtime(["y" * 30] * turns, context_tokens=600)
    conversation = Conversation(runtime, system_prompt="Be brief.")
    notices, evaluated_anew = [], 0
    for number in range(turns):
        usage = conversation.send(f"{number} " + "z" * 30).result().usage
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
    conversation.send("first").result()
    with pytest.raises(ContextFull):
        conversation.send("w" * 1000)
    usage = conversation.send("second").result().usage
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
        conversation.send(question).result()
        notices += conversation.take_notices()
    assert len(notices) == 1 and "not being saved" in notices[0] and "full" in notices[0]
    history._database.execute("PRAGMA max_page_count = 100000")
    conversation.send("third").result()
    assert kept(history, conversation.id) == said(conversation)
    assert [question for question, _ in said(conversation)] == ["first", "second", "third"]


def test_a_conversation_goes_on_in_another_process_without_being_evaluated_again(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, _ = make_runtime(["x" * 100])
    with Conversation(runtime, model="m", system_prompt="Be brief.", history=history) as conversation:
        conversation.send("w" * 500).result()
    runtime.close()
    runtime, backend = make_runtime(["y"])
    saved = history.load(history.latest() or 0)
    resumed = Conversation.resume(runtime, history, saved)
    assert said(resumed) == said(conversation)
    assert resumed.send("Go on").result().usage.cached_tokens > 600
    assert backend.evaluated_tokens < 50
    assert kept(history, saved.id) == said(resumed)


def test_resuming_also_works_without_the_state(make_runtime: MakeRuntime, history: History) -> None:
    runtime, _ = make_runtime(["one"])
    with Conversation(runtime, history=history) as conversation:
        conversation.send("first").result()
    state_files.delete_state(history, conversation.id or 0)
    resumed = Conversation.resume(make_runtime(["two"])[0], history, history.load(conversation.id or 0))
    assert resumed.send("second").result().usage.cached_tokens == 0
    assert said(resumed) == [("first", "one"), ("second", "two")]


def test_turns_that_were_dropped_stay_dropped_when_resuming(
    make_runtime: MakeRuntime, history: History
) -> None:
    runtime, _ = make_runtime(["y" * 30] * 12, context_tokens=600)
    with Conversation(runtime, history=history) as conversation:
        for _ in range(12):
            conversation.send("z" * 30).result()
    shown = conversation.messages()
    assert len(shown) < 24
    runtime, backend = make_runtime(["y"], context_tokens=600)
    resumed = Conversation.resume(runtime, history, history.load(conversation.id or 0))
    assert resumed.messages() == shown
    resumed.send("z").result()
    assert backend.evaluated_tokens < 50


def test_the_state_is_saved_now_and_then_so_that_a_killed_process_costs_little(
    make_runtime: MakeRuntime, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "_SAVE_STATE_EVERY_TOKENS", 100)
    conversation = Conversation(make_runtime(["x" * 10, "y" * 90, "z"])[0], history=history)
    saved_after = []
    for question in ("first", "second", "third"):
        conversation.send(question).result()
        conversation.save_state_if_due()
        saved_after.append(len(history.states()) and history.states()[0].size_bytes)
    assert saved_after[0] == 0 and saved_after[1] > 0 and saved_after[2] == saved_after[1]
