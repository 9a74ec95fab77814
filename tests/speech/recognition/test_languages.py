"""Codes and names of languages."""

from __future__ import annotations

import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.speech.recognition.languages import LANGUAGES, language_name, parse_language


def test_there_are_as_many_as_whisper_knows() -> None:
    assert len(LANGUAGES) == 100  # of large-v3; the models before it lack Cantonese
    assert len(set(LANGUAGES.values())) == 100


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_code_and_name_lead_to_each_other(code: str) -> None:
    name = language_name(code)
    assert parse_language(code) == parse_language(name) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("FR", "fr"), (" french ", "fr"), ("FRENCH", "fr"), ("Māori", "mi"), ("Haitian  Creole", "ht")),
        *(("Mandarin", "zh"), ("jv", "jw"), ("iw", "he"), ("nb", "no"), ("Bokmål", "no"), ("Farsi", "fa")),
    ],
)
def test_case_accents_space_and_other_names_do_not_matter(text: str, code: str) -> None:
    assert parse_language(text) == code


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Frnech", "French (fr)"),
        ("portugese", "Portuguese (pt)"),
        ("pt-BR", "Portuguese (pt)"),
        ("en_US", "English (en)"),
        ("", "an English name or a code"),
        ("Klingon" * 10_000, "an English name or a code"),
    ],
)
def test_a_wrong_name_is_told_with_what_may_be_meant(text: str, hint: str) -> None:
    with pytest.raises(OptionInvalid, match="is not a language") as caught:
        parse_language(text)
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 200


def test_a_code_that_nobody_knows_is_its_own_name() -> None:
    assert language_name("tlh") == "tlh"
