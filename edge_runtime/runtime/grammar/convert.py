"""JSON Schema (drafts 7 and 2020-12) to GBNF, exactly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .alternatives import Place
from .ambiguity import check_readings
from .bounds import refuse
from .document import Document
from .normalizer import Normalizer
from .value_rules import ValueWriter


def grammar_of_schema(schema: Mapping[str, Any] | bool) -> str:
    """GBNF whose sentences are JSON documents that `schema` describes, and no other text.

    Every keyword is kept, or the schema is refused; docs/structured-output.md has the list.
    References stay inside the document: nothing is fetched.

    Raises OptionInvalid with the JSON pointer of what cannot be kept, and why.
    """
    document = Document(schema if isinstance(schema, (bool, dict)) else dict(schema))
    writer = ValueWriter(Normalizer(document))
    root = writer.write(frozenset({Place("", True)}))
    if not writer.rules.prune(root):
        raise refuse("", "no JSON value satisfies it", "look for keywords that exclude each other")
    check_readings(writer.rules)
    return writer.rules.text(root)



