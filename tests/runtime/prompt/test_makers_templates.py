"""Templates in the style of well-known models: what is asked reaches the model, in the makers' form."""

# ruff: noqa: E501 - templates in their makers' own lines

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import tiny_llama_gguf

from edge_runtime.errors import ChatTemplateFailed, ContextFull
from edge_runtime.gguf.header import read_header
from edge_runtime.runtime.prompt.length_bound import LengthBound
from edge_runtime.runtime.prompt.template import ChatTemplate
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import ContextPolicy

GEMMA_2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
GEMMA_3 = (
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}"
    "{%- if messages[0]['content'] is string -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}"
    "{%- else -%}{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}"
    "{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = '' -%}"
    "{%- set loop_messages = messages -%}{%- endif -%}{%- for message in loop_messages -%}"
    "{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
    "{{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else '') }}"
    "{%- if message['content'] is string -%}{{ message['content'] | trim }}"
    "{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}"
    "{%- if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{{ '<end_of_turn>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
)
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN = (
    "{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}"
    "{%- endif %}{%- for message in messages %}{%- if message.content is string %}"
    "{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}"
    "{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}"
    "{{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}"
    "{%- elif message.role == 'assistant' %}{%- if '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
PHI = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
ALL = {
    "gemma 2": GEMMA_2,
    "gemma 3": GEMMA_3,
    "smolvlm": SMOLVLM,
    "mistral": MISTRAL,
    "llama 3": LLAMA_3,
    "qwen": QWEN,
    "phi": PHI,
}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Because."},
    {"role": "user", "content": "Really?"},
]


@pytest.mark.parametrize("name", ALL)
def test_all_that_is_said_reaches_the_model_in_order(name: str) -> None:
    text = ChatTemplate(ALL[name], bos_text="<s>", eos_text="</s>").render(TALK)
    places = [text.index(message["content"]) for message in TALK]
    assert places == sorted(places)
    assert [text.count(message["content"]) for message in TALK] == [1, 1, 1, 1]
    assert ChatTemplate(ALL[name]).render(TALK[1:]).count("Be brief.") == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gemma 2", "<start_of_turn>user\nBe brief.\n\nWhy?<end_of_turn>\n<start_of_turn>model\n"),
        ("gemma 3", "<start_of_turn>user\nBe brief.\n\nWhy?<end_of_turn>\n<start_of_turn>model\n"),
        (
            "smolvlm",
            "<|im_start|>System: Be brief.<end_of_utterance>\nUser: Why?<end_of_utterance>\nAssistant:",
        ),
        ("mistral", "[INST] Be brief.\n\nWhy? [/INST]"),
        ("phi", "<|user|>\nBe brief.\n\nWhy?<|end|>\n<|assistant|>\n"),
    ],
)
def test_the_makers_form(name: str, expected: str) -> None:
    assert ChatTemplate(ALL[name]).render(TALK[:2]) == expected


def test_a_system_message_alone_becomes_the_users() -> None:
    assert "user\nBe brief." in ChatTemplate(GEMMA_2).render(TALK[:1])


def test_parts_for_the_user_only() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}{% for part in m.content %}{{ part.text }}{% endfor %}"
        "{% else %}{{ m.content + '|' }}{% endif %}{% endfor %}"
    )
    assert ChatTemplate(source).render(TALK) == "Be brief.|Why?Because.|Really?"


def test_a_template_that_loses_the_text_says_so() -> None:
    template = ChatTemplate("{% for m in messages %}<{{ m.role }}>{% endfor %}")
    with pytest.raises(ChatTemplateFailed, match="leaves out what the user writes"):
        template.render(TALK)


@pytest.mark.parametrize("name", ["gemma 2", "mistral"])
def test_a_refusal_names_the_message(name: str) -> None:
    twice = [*TALK[1:], {"role": "user", "content": "Hello?"}]
    with pytest.raises(ChatTemplateFailed, match=r"must alternate.*messages\[3\] \(role 'user'\)") as caught:
        ChatTemplate(ALL[name]).render(twice)
    assert caught.value.facts["message_index"] == 3


def test_an_empty_content_that_a_template_refuses_is_named() -> None:
    source = (
        "{% for m in messages %}{% if not m.content %}{{ raise_exception('empty content') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    with pytest.raises(ChatTemplateFailed, match=r"empty content.*messages\[1\]"):
        ChatTemplate(source).render([TALK[1], {"role": "assistant", "content": ""}, TALK[3]])


@pytest.mark.parametrize("tag", ["break", "continue"])
def test_loop_controls(tag: str) -> None:
    inside = (
        "{% for m in messages %}{% if loop.last %}{% " + tag + " %}{% endif %}{{ m.content }}{% endfor %}"
    )
    assert ChatTemplate(inside + "{{ messages[-1].content }}").render(TALK[1:]) == "Why?Because.Really?"
    with pytest.raises(
        ChatTemplateFailed, match=r"does not compile: line .*outside loop|not properly in loop"
    ):
        ChatTemplate("{{ messages }}\n{% " + tag + " %}")


def test_errors_name_the_line() -> None:
    with pytest.raises(ChatTemplateFailed, match=r"does not compile: line 3: "):
        ChatTemplate("a\nb\n{% for %}")
    with pytest.raises(ChatTemplateFailed, match="failed in line 2: UndefinedError"):
        ChatTemplate("{{ messages[-1].content }}\n{{ messages.nothing.nothing }}").render(TALK)


# --- on a real model --------------------------------------------------------------------------


def write_model(folder: Path, template: str | None, **changes: object) -> Path:
    path = folder / "tiny.gguf"
    named = {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    path.write_bytes(tiny_llama_gguf(chat_template=template, changes=named))
    return path


@pytest.mark.parametrize("name", ["smolvlm", "gemma 2"])
def test_every_word_is_in_the_prompt(tmp_path: Path, name: str) -> None:
    with Runtime.open(write_model(tmp_path, ALL[name]), context_tokens=256) as runtime:
        short = runtime.generate("hi", system="be brief", max_tokens=1).usage.prompt_tokens
        long = runtime.generate("hi " + "word " * 10, system="be brief", max_tokens=1).usage.prompt_tokens
    assert long >= short + 40


@pytest.mark.parametrize("raw", [True, False])
def test_no_end_token_behind_a_prompt(tmp_path: Path, raw: bool) -> None:
    counts = []
    for adds in (False, True):
        path = write_model(tmp_path, LLAMA_3, add_eos_token=adds)
        with Runtime.open(path, context_tokens=256) as runtime:
            counts.append(runtime.generate("hello", raw=raw, max_tokens=1).usage.prompt_tokens)
            assert runtime.tokenize("a", add_special=True)[-1:] == [2] * adds or not adds
    assert counts[0] == counts[1]


@pytest.mark.parametrize("raw", [True, False])
def test_four_million_letters_are_too_long(tmp_path: Path, raw: bool) -> None:
    """They used to be a SecurityError of the template's sandbox, or tokenized first."""
    with Runtime.open(write_model(tmp_path, QWEN), context_tokens=256) as runtime:
        for policy in ContextPolicy:
            with pytest.raises(ContextFull, match="too long: there is room for") as caught:
                runtime.generate("a" * 4_000_000, raw=raw, max_tokens=1, context_policy=policy)
            assert (caught.value.prompt_tokens or 0) > 256
        turns = [{"role": "user", "content": "b" * 4_000_000}, {"role": "assistant", "content": "c"}]
        reply = runtime.chat([*turns, {"role": "user", "content": "d"}], max_tokens=1)
        assert reply.dropped_turns == 1  # an old turn makes way, as a shorter one would


def test_the_bound_is_not_above_the_tokens(tmp_path: Path) -> None:
    path = write_model(tmp_path, QWEN)
    bound = LengthBound.of_model(read_header(path))
    with Runtime.open(path, context_tokens=256) as runtime:
        for text in ("a" * 3000, "<unused7>" * 400, "   a\n" * 900, "中" * 2000, "\x01" * 5000):
            assert bound.least_tokens(text, 1) <= len(runtime.tokenize(text, parse_special=True))
    assert bound.least_tokens("a" * 3000, 1) > 100
