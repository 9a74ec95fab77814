"""Prompts that fit: which turns go, how much room the answer has, what a turn costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from support.scripted_backend import MakeRuntime, ScriptedBackend

from edge_runtime.assistant.conversation import Conversation
from edge_runtime.errors import ContextFull, OptionInvalid
from edge_runtime.runtime.prompt.fitting import PromptFitter, prompt_room_tokens
from edge_runtime.runtime.prompt.template import ChatTemplate
from edge_runtime.values.records import ContextPolicy, GenerationOptions

_TOKENS_A_MESSAGE = 10


@dataclass
class Counted:
    """How often the template was rendered and a text tokenized."""

    renderings: int = 0
    tokenizings: int = 0


@contextmanager
def counting(backend: Any) -> Iterator[Counted]:
    """Wraps the real functions of the template and of this backend."""
    counted = Counted()
    render, tokenize = ChatTemplate.render, backend.tokenize

    def counted_render(self: ChatTemplate, *args: Any, **keywords: Any) -> str:
        counted.renderings += 1
        return render(self, *args, **keywords)

    def counted_tokenize(text: str, **keywords: Any) -> list[int]:
        counted.tokenizings += 1
        return tokenize(text, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChatTemplate, "render", counted_render)
        patch.setattr(backend, "tokenize", counted_tokenize)
        yield counted


def conversation(turns: int, system: str = "") -> list[dict[str, str]]:
    messages = [{"role": "system", "content": system}] if system else []
    for turn in range(turns):
        messages += [{"role": "user", "content": f"u{turn}"}, {"role": "assistant", "content": f"a{turn}"}]
    return [*messages, {"role": "user", "content": "now"}]


def fit(messages: list[dict[str, str]], room_tokens: int) -> tuple[list[str], int]:
    """-> (what is left of the messages, turns dropped), for a prompt of at most room_tokens."""
    template = ChatTemplate("{% for m in messages %}|{{ m.content }}{% endfor %}")

    def tokenize(text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return [0] * _TOKENS_A_MESSAGE * text.count("|")

    fitter = PromptFitter(template, tokenize, bos_text="", context_tokens=2 * room_tokens)
    assert prompt_room_tokens(2 * room_tokens, room_tokens) == room_tokens
    prompt = fitter.fitted(messages, GenerationOptions(max_tokens=room_tokens))
    assert prompt.room_tokens == 2 * room_tokens - len(prompt.tokens)
    return (prompt.text or "").split("|")[1:], prompt.dropped_turns


def test_the_oldest_turns_go_and_the_system_prompt_stays() -> None:
    assert fit(conversation(4, "be brief"), 60) == (["be brief", "u3", "a3", "now"], 3)


def test_a_conversation_that_grows_keeps_the_same_beginning_for_many_turns() -> None:
    firsts, sizes = [], []
    for turns in range(4, 60):
        kept, _ = fit(conversation(turns, "be brief"), 200)
        firsts.append(kept[1])
        sizes.append(_TOKENS_A_MESSAGE * len(kept))
    assert max(sizes) <= 200
    assert min(sizes[10:]) > 60  # never much less than half
    grown_tokens = 56 * 20
    assert len(set(firsts)) <= 1 + grown_tokens // 100  # one change for each half of the room


def test_what_fits_is_left_alone() -> None:
    messages = conversation(2)
    assert fit(messages, 50) == ([message["content"] for message in messages], 0)


def test_a_last_message_that_is_too_long_alone_is_refused() -> None:
    with pytest.raises(ContextFull) as caught:
        fit(conversation(3, "be brief"), 19)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (20, 38)


def test_the_room_for_a_prompt() -> None:
    assert prompt_room_tokens(4096, None) == 3072
    assert prompt_room_tokens(4096, 100) == 3996
    assert prompt_room_tokens(4096, 4000) == 2048  # never more than half for the answer
    assert prompt_room_tokens(40, None) == 24  # a quarter would be too short an answer
    assert prompt_room_tokens(1, None) == 0


# --- one turn --------------------------------------------------------------------------------


def test_a_turn_is_rendered_and_tokenized_once(make_runtime: MakeRuntime) -> None:
    runtime, backend = make_runtime(["one", "two", "three"])
    talk = Conversation(runtime, system_prompt="Be brief.")
    for question in ("first", "second", "third"):
        with counting(backend) as counted:
            usage = talk.send(question).result().usage
        assert (counted.renderings, counted.tokenizings) == (1, 1)
    assert usage.cached_tokens > 30  # and the answers' own tokens stood


@pytest.mark.parametrize("turns", [20, 100, 400])
def test_a_long_history_costs_a_search_by_halves(make_runtime: MakeRuntime, turns: int) -> None:
    runtime, backend = make_runtime(["one"], context_tokens=600)
    with counting(backend) as counted:
        reply = runtime.chat(conversation(turns))
    assert reply.dropped_turns > 0
    assert counted.renderings == counted.tokenizings <= math.log2(turns) + 3


def test_policy_stop_counts_no_less_and_drops_nothing(make_runtime: MakeRuntime) -> None:
    runtime, backend = make_runtime(["one"], context_tokens=600)
    with counting(backend) as counted, pytest.raises(ContextFull) as caught:
        runtime.chat(conversation(100), context_policy=ContextPolicy.STOP)
    assert counted.renderings == 1
    assert caught.value.prompt_tokens == runtime.count_prompt_tokens(conversation(100))


@pytest.mark.parametrize("max_tokens", [None, 5, 40, 400])
@pytest.mark.parametrize("context_tokens", [100, 120, 250, 600])
def test_a_conversation_and_chat_drop_the_same_turns(
    make_runtime: MakeRuntime, context_tokens: int, max_tokens: int | None
) -> None:
    """They had a rule each for the room an answer needs: in small contexts they disagreed."""
    runtime, _ = make_runtime(["a"] * 30, context_tokens=context_tokens)
    talk = Conversation(runtime, options={"max_tokens": max_tokens})
    for number in range(10):
        said_before = [*talk.messages(), {"role": "user", "content": f"u{number}"}]
        expected = runtime._prompts.fitted(said_before, GenerationOptions(max_tokens=max_tokens))
        reply = talk.send(f"u{number}").result()
        assert reply.usage.prompt_tokens == len(expected.tokens)
        assert reply.dropped_turns == expected.dropped_turns
        assert runtime.count_prompt_tokens(talk.messages()[:-1]) == len(expected.tokens)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("Hello", "of type str"),
        (b"Hello", "of type bytes"),
        ({"role": "user", "content": "Hello"}, "of type dict"),
        (None, "of type NoneType"),
        (7, "of type int"),
        ([], "there are none"),
        (["Hello"], r"messages\[0\]: needs"),
        ([{"role": "user"}], r"messages\[0\]: needs"),
        ([{"role": "user", "content": "a"}, {"role": 1, "content": "b"}], r"messages\[1\]: needs"),
    ],
)
def test_what_is_no_list_of_messages_is_refused_clearly(
    make_runtime: MakeRuntime, messages: Any, said: str
) -> None:
    runtime, _ = make_runtime([])
    for ask in (runtime.chat, runtime.count_prompt_tokens, runtime.prompt_of):
        with pytest.raises(OptionInvalid, match=f"^messages.*{said}|^{said}") as caught:
            ask(messages)
        assert caught.value.option == "messages" and caught.value.hint


def test_scripted_tokens_spell_their_text() -> None:
    """What the counts above rest on."""
    backend = ScriptedBackend([])
    assert len(backend.tokenize("<start>ab", add_special=True, parse_special=True)) == 3
