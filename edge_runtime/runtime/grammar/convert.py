"""JSON Schema (drafts 7 and 2020-12) to GBNF, exactly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import OptionInvalid
from .alternatives import Place
from .ambiguity import check_readings
from .bounds import refuse
from .document import Document
from .gbnf_check import check_grammar
from .value_rules import ValueWriter

_LARGE_CHARACTERS = 100_000


def grammar_of_schema(schema: Mapping[str, Any] | bool) -> str:
    """GBNF whose sentences are JSON documents that `schema` describes, and no other text.

    Every keyword is kept, or the schema is refused; docs/structured-output.md has the list.
    References stay inside the document: nothing is fetched.

    Raises OptionInvalid with the JSON pointer of what cannot be kept, and why.
    """
    if not isinstance(schema, (Mapping, bool)):
        raise refuse("", "a schema is an object, true or false")
    writer = ValueWriter(Document(schema))
    root = writer.write(frozenset({Place("", True)}))
    if not writer.rules.prune(root):
        raise refuse("", "no JSON value satisfies it", "look for keywords that exclude each other")
    check_readings(writer.rules)
    text = writer.rules.text(root)
    if len(text) > _LARGE_CHARACTERS:  # smaller ones stay within llama.cpp's means as they are
        try:
            check_grammar(text)
        except OptionInvalid as error:
            reason = str(error).removeprefix("grammar: ")
            raise refuse("", f"its grammar is too large: {reason}", "simplify the schema") from None
    return text
