from __future__ import annotations

import time

import pytest

from edge_runtime.errors import ChatTemplateFailed
from edge_runtime.runtime.prompt.template import ChatTemplate, plain_text

CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
HELLO = [{"role": "user", "content": " Hello "}]


def test_chatml_renders_as_written() -> None:
    assert ChatTemplate(CHATML).render(HELLO) == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def test_what_templates_commonly_use_is_there() -> None:
    source = (
        "{{ bos_token }}"
        "{%- for m in messages -%}{%- if loop.first -%}{%- continue -%}{%- endif -%}{%- endfor -%}"
        "{{ messages[0] | tojson }}{{ strftime_now('%Y') | int > 2000 }}{% generation %}x{% endgeneration %}"
        "{{ messages[0]['content'].strip().split('l') | join('-') }}{{ 7 % 4 * 2 }}{{ 'a' ~ 1 ~ 'b' }}"
    )
    text = ChatTemplate(source, bos_text="<bos>").render(HELLO)
    assert text == '<bos>{"role": "user", "content": " Hello "}Truexhe--o6a1b'.replace("he--o", "He--o")


def test_a_template_that_refuses_says_so_in_its_own_words() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ChatTemplateFailed, match="roles must alternate"):
        template.render(HELLO)


_DOUBLED = (
    "{{% set ns = namespace(x=[1]) %}}"
    "{{% for i in range(60) %}}{{% set ns.x = {} %}}{{% endfor %}}{{{{ ns.x }}}}"
)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ 'a' * 10**10 }}",
        "{{ 'a' * 10000000000 }}",
        "{{ [1] * 10000000000 }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ 'a'.ljust(10000000000) }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{{ '{:10000000000}'['format'](1) }}",
        "{{ '{:10000000000}' | attr('format')(1) }}",
        "{{ 'a' | center(10000000000) }}",
        "{{ 'a' | indent(10000000000) }}",
        "{% set ns = namespace(x='aaaaaaaa') %}"
        "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aaaaaaaa') %}"
        "{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aaaaaaaa') %}"
        "{% for i in range(9) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='aaaaaaaa') %}"
        "{% for i in range(9) %}{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}",
        # Doubled sixty times in one step of Python's own code, which no time limit ends:
        _DOUBLED.format("[ns.x, ns.x]"),
        _DOUBLED.format("(ns.x, ns.x)"),
        _DOUBLED.format("{1: ns.x, 2: ns.x}"),
        _DOUBLED.format("dict(a=ns.x, b=ns.x)"),
        _DOUBLED.format("ns.x + [ns.x]"),
        _DOUBLED.replace("[1]", "9").format("ns.x * ns.x"),
        "{{ (1).to_bytes(10000000000, 'big') }}",
        "{{ lipsum(n=1000000) }}",
        "{% set a = messages[0]['content'] ~ '" + "y" * 90 + "' %}"
        "{{ range(99999) | map(attribute='x', default=a) | list | string }}",
        "{{ messages.nothing.nothing }}",
        "{{ 1 / 0 }}",
        "{% include 'file' %}",
        "{% for i in range(90000) %}{{ messages[0]['content'] }}" + "x" * 100 + "{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_a_hostile_or_broken_template_ends_in_our_error(source: str) -> None:
    with pytest.raises(ChatTemplateFailed):
        ChatTemplate(source).render(HELLO)


@pytest.mark.parametrize(
    ("source", "length"),
    [("{{ 1.5 | round(1000000000, 'ceil') }}", 3), ("{{ [1] | batch(1000000000, 'x') | list | length }}", 1)],
)
def test_numbers_out_of_all_measure_are_bounded(source: str, length: int) -> None:
    text = ChatTemplate(source + "{{ messages[0].content }}").render(HELLO)
    assert text.removesuffix(HELLO[0]["content"]) in ("1.5", "1") and len(text) == length + 7


def test_a_template_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_runtime.runtime.prompt.template._TIME_LIMIT_S", 0.3)
    loops = "{% for a in range(9999) %}" * 4 + "{% endfor %}" * 4
    started_s = time.perf_counter()
    with pytest.raises(ChatTemplateFailed, match=r"0\.3 s"):
        ChatTemplate(loops).render(HELLO)
    assert time.perf_counter() - started_s < 10
    assert ChatTemplate(CHATML).render(HELLO)  # the watchdog has not stayed behind


@pytest.mark.parametrize("source", ["{% for %}", "{{ 'open", "{% endfor %}", "x" * 200_001])
def test_a_template_that_does_not_compile_ends_in_our_error(source: str) -> None:
    with pytest.raises(ChatTemplateFailed):
        ChatTemplate(source)


def test_a_base_model_sees_the_text_alone() -> None:
    messages = [{"role": "user", "content": "u0"}, {"role": "assistant", "content": "a0"}]
    assert plain_text([*messages, {"role": "user", "content": "now"}]) == "u0\na0\nnow"
