"""The grammar that keeps an answer to its options."""

from __future__ import annotations

import json
from functools import lru_cache

from ...backends.guard.grammar import try_grammar
from ...values.records import GenerationOptions
from .bounds import grammar_refused
from .convert import grammar_of_schema
from .document import Document
from .gbnf_check import check_grammar
from .gbnf_reader import Grammar

_REMEMBERED = 64  # grammars and schemas


def grammar_of_options(options: GenerationOptions) -> str | None:
    """GBNF of `json_schema` or `grammar`, checked; None: neither is given.

    A schema is converted, and its grammar needs no trial. A grammar that others wrote is checked,
    and then tried by a child process, where one may be started: half a second, once for each text.
    Raises OptionInvalid, before anything is generated.
    """
    if options.json_schema is not None:
        document = Document(options.json_schema)  # checked before json recurses over it
        return _converted(json.dumps(document.root))
    if options.grammar is None:
        return None
    _checked(options.grammar)
    return options.grammar


@lru_cache(maxsize=_REMEMBERED)
def _converted(schema: str) -> str:
    return grammar_of_schema(json.loads(schema))


@lru_cache(maxsize=_REMEMBERED)
def _checked(text: str) -> None:
    """Remembers what was good only: a refusal may be of a machine that was short of memory."""
    problem = try_grammar(_without_tokens(text, check_grammar(text)))
    if problem:
        raise grammar_refused(f"llama.cpp cannot follow it: {problem}", "simplify the grammar")


def _without_tokens(text: str, grammar: Grammar) -> str:
    """With every <token> replaced by <[0]>: the trial has another vocabulary."""
    parts, end = [], 0
    for first, last in grammar.tokens:
        parts += [text[end:first], "!" if text[first] == "!" else "", "<[0]>"]
        end = last
    return "".join([*parts, text[end:]])
