from __future__ import annotations

import pytest

from edge_runtime.runtime.engine.text import TextAssembler


def shown(pieces: list[bytes], stop: tuple[str, ...] = ()) -> list[str]:
    """Everything that comes out, piece by piece, and the end."""
    assembler = TextAssembler(stop)
    out = []
    for piece in pieces:
        out.append(assembler.push(piece))
        if assembler.stopped:
            return out
    return [*out, assembler.finish()]


def test_a_character_split_over_tokens_is_shown_whole() -> None:
    euro, wave = "€".encode(), "👋".encode()
    assert shown([euro[:1], euro[1:], wave[:2], wave[2:3], wave[3:]]) == ["", "€", "", "", "👋", ""]


def test_an_unfinished_character_at_the_end_is_marked() -> None:
    assert shown([b"a", "€".encode()[:2]]) == ["a", "", "\ufffd"]


def test_a_stop_string_across_three_tokens_never_shows() -> None:
    assert shown([b"one ", b"##", b"# E", b"ND rest"], ("### END",)) == ["one ", "", "", ""]


def test_text_before_the_stop_string_in_the_same_token_is_kept() -> None:
    assert shown([b"answer\n", b"User: more"], ("\nUser:",)) == ["answer", ""]


def test_a_false_start_is_released() -> None:
    assert shown([b"a <", b"b>", b"<|"], ("<|end|>",)) == ["a ", "<b>", "", "<|"]


def test_the_earliest_of_several_stop_strings_wins() -> None:
    assert shown([b"x STOP y END"], ("END", "STOP")) == ["x "]


@pytest.mark.parametrize("text", ["aaab", "ababab", "aabaabaaab"])
def test_no_split_of_the_text_changes_the_result(text: str) -> None:
    stop = ("aab",)
    whole = "".join(shown([text.encode()], stop))
    for cut in range(len(text)):
        for second in range(cut, len(text)):
            parts = [text[:cut].encode(), text[cut:second].encode(), text[second:].encode()]
            assert "".join(shown(parts, stop)) == whole == text.split("aab")[0]
