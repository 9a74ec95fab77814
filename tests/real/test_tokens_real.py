"""Tokens and text on the vocabularies of real models; and what one turn costs there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edge_runtime import Runtime
from edge_runtime.assistant.conversation import Conversation
from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.prompt.template import ChatTemplate

# U+2581 is SentencePiece's own character for a space.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=60)
_WORDS = st.lists(
    st.sampled_from(["the", " sky", "\n\n", "  ", "été", "日本", "🙂👍🏽", "<|im_end|>", "</s>", "1 234"])
)


@pytest.fixture(scope="module", params=["smollm2_path", "gemma_path"])
def runtime(request: pytest.FixtureRequest, shared_store: Path) -> Iterator[Runtime]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_RUNTIME_HOME", str(shared_store))
        with Runtime.open(request.getfixturevalue(request.param), context_tokens=1024) as opened:
            yield opened


@pytest.fixture(scope="module")
def missing_bytes(runtime: Runtime) -> frozenset[int]:
    """Those that no token stands for: a text with one of them cannot come back."""
    texts = (runtime._backend.token_text(token).shown for token in range(runtime.vocabulary_size))
    return frozenset(range(256)) - {text[0] for text in texts if len(text) == 1}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=_TEXT | _WORDS.map("".join))
def test_text_comes_back_from_its_tokens(runtime: Runtime, missing_bytes: frozenset[int], text: str) -> None:
    assume(not missing_bytes.intersection(text.encode()))
    tokens = runtime.tokenize(text)
    assert all(0 <= token < runtime.vocabulary_size for token in tokens)
    assert runtime.detokenize(tokens) == text
    # With everything spelled out as well: nothing in the text was taken for a control token.
    assert runtime.detokenize(tokens, keep_special=True) == text
    assert runtime.count_tokens(text) - len(tokens) in (0, 1)  # a begin-of-text token


def test_few_bytes_are_missing(runtime: Runtime, missing_bytes: frozenset[int]) -> None:
    """SmolLM2 has no token for 21 of them: control characters, and bytes that UTF-8 hardly ever has."""
    common = set(b"aZ0 .\n\t")
    assert len(missing_bytes) == 0 if "gemma" in runtime.model_name else len(missing_bytes) < 50
    assert not common & missing_bytes


def test_control_tokens_are_text_unless_asked_for(runtime: Runtime) -> None:
    written = "<|im_end|>" if runtime.has_chat_template else "<end_of_turn>"
    (control,) = runtime.tokenize(written, parse_special=True)
    assert len(runtime.tokenize(written)) > 1
    assert runtime.detokenize([control]) == ""
    assert runtime.detokenize([control], keep_special=True) == written


@pytest.mark.parametrize("wrong", [[-1], [10**9], ["a"], [1.5], [True]])
def test_an_id_that_is_not_there_is_refused(runtime: Runtime, wrong: Any) -> None:
    """llama.cpp would end the process."""
    with pytest.raises(OptionInvalid, match="no token id") as caught:
        runtime.detokenize(wrong)
    assert caught.value.option == "tokens"


def test_a_turn_is_rendered_and_tokenized_once(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"render": 0, "tokenize": 0}
    render, tokenize = ChatTemplate.render, runtime._backend.tokenize_prompt

    def counted_render(self: ChatTemplate, *args: Any, **keywords: Any) -> str:
        calls["render"] += 1
        return render(self, *args, **keywords)

    def counted_tokenize(text: str, **keywords: Any) -> list[int]:
        calls["tokenize"] += 1
        return tokenize(text, **keywords)

    monkeypatch.setattr(ChatTemplate, "render", counted_render)
    monkeypatch.setattr(runtime._backend, "tokenize_prompt", counted_tokenize)
    talk = Conversation(runtime, system_prompt="Be brief.", options={"max_tokens": 8, "seed": 1})
    for turn, question in enumerate(("Why is the sky blue?", "And at night?", "Really?"), start=1):
        usage = talk.send(question).result().usage
        assert calls == {"render": turn if runtime.has_chat_template else 0, "tokenize": turn}
    assert usage.cached_tokens > 20
