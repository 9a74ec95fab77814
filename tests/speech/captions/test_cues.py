"""Words become subtitles that people can read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.spoken import END, final, partial, spoken, untimed

from edge_runtime.speech.captions import Cue, CueStream
from edge_runtime.speech.recognition.transcript import TranscriptEvent, TranscriptWord
from edge_runtime.values.display_text import text_columns

LONG = (
    "The quick brown fox jumps over the lazy dog near the river, where the water is cold in spring. "
    "Nobody has ever seen it do so, but everybody who learns to type has written about it many times."
)


def cues_of(*events: TranscriptEvent) -> list[Cue]:
    stream = CueStream()
    return [cue for event in (*events, END) for cue in stream.take(event)]


def text_of(cues: list[Cue]) -> str:
    return " ".join(line for cue in cues for line in cue.lines)


def check(cues: list[Cue]) -> None:
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < text_columns(line) <= 42 for line in cue.lines)
        assert 0 < cue.end_s - cue.start_s <= 7.0 + 1e-6
    for before, after in pairwise(cues):
        assert after.start_s >= before.end_s - 1e-9


def test_a_short_sentence_is_one_cue_on_one_line() -> None:
    assert cues_of(final(spoken("Hello there, world."))) == [
        Cue(0.0, pytest.approx(1.2), ("Hello there, world.",))
    ]


def test_a_long_text_is_broken_where_its_sentences_and_clauses_end() -> None:
    cues = cues_of(final(spoken(LONG, word_s=0.2)))
    check(cues)
    assert text_of(cues) == LONG
    assert [cue.lines[-1][-1] for cue in cues] == [",", ".", ",", "."]


def test_no_cue_is_a_scrap() -> None:
    cues = cues_of(final(spoken("one two three four five " * 8, word_s=0.2)))
    check(cues)
    lengths = [sum(map(len, cue.lines)) for cue in cues]
    assert min(lengths) > 0.6 * max(lengths)


def test_slow_speech_is_broken_after_seven_seconds() -> None:
    cues = cues_of(final(spoken("one two three four five six seven eight", word_s=2.0)))
    check(cues)
    assert len(cues) >= 3


def test_a_pause_is_always_a_border() -> None:
    words = (*spoken("Before it."), *spoken("After it.", start_s=2.0))
    assert [cue.lines for cue in cues_of(final(words))] == [("Before it.",), ("After it.",)]


def test_a_short_cue_stays_long_enough_to_be_read_but_not_into_the_next() -> None:
    alone = cues_of(final(spoken("Yes.", word_s=0.2)))
    assert alone[0].end_s - alone[0].start_s == pytest.approx(0.7)  # half a second into the silence
    followed = cues_of(final((*spoken("Yes.", word_s=0.1), *spoken("Quite so.", start_s=0.9))))
    assert followed[0].end_s == pytest.approx(0.9)


def test_finals_of_one_utterance_make_whole_cues() -> None:
    words = spoken("This sentence came in three pieces.")
    pieces = (words[:2], words[2:3], words[3:])
    events = [final(piece, ends=n == 2) for n, piece in enumerate(pieces)]
    stream = CueStream()
    assert [stream.take(event) for event in events[:2]] == [[], []]
    assert [cue.lines for cue in stream.take(events[2])] == [("This sentence came in three pieces.",)]


def test_speech_without_a_pause_does_not_wait_for_ever() -> None:
    stream = CueStream()
    words = spoken("word " * 200, word_s=0.3)
    found = [stream.take(final((word,), ends=False)) for word in words]
    done_s = [cue.end_s for cues in found for cue in cues]
    assert done_s[-1] > words[-1].end_s - 14
    waiting_s = [word.end_s - (done_s[-1] if done_s else 0) for word in words[-1:]]
    assert max(waiting_s) < 14


def test_what_is_under_way_comes_at_the_end() -> None:
    stream = CueStream()
    assert stream.take(final(spoken("Cut off in the"), ends=False)) == []
    assert [cue.lines for cue in stream.finish()] == [("Cut off in the",)]
    assert stream.finish() == []


def test_partials_and_empty_finals_make_no_cue() -> None:
    assert cues_of(partial("Maybe"), final(())) == []


def test_a_translation_shares_out_its_time() -> None:
    cues = cues_of(untimed(LONG, 10.0, 22.0))
    check(cues)
    assert text_of(cues) == LONG
    assert cues[0].start_s == 10.0
    assert cues[-1].end_s == pytest.approx(22.0, abs=0.6)


def test_text_without_spaces_is_broken_anywhere() -> None:
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 3
    cues = cues_of(untimed(text, 0.0, 20.0))
    check(cues)
    assert "".join(line for cue in cues for line in cue.lines) == text


def test_a_word_longer_than_a_line_is_cut() -> None:
    cues = cues_of(final(spoken("x" * 300, word_s=9.0)))
    check(cues)
    assert "".join(line for cue in cues for line in cue.lines) == "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        (TranscriptWord(" back", 5.0, 4.0, 1.0), TranscriptWord(" wards", 1.0, 0.5, 1.0)),
        (TranscriptWord(" at", 0.0, 0.0, 1.0), TranscriptWord(" once", 0.0, 0.0, 1.0)),
        (TranscriptWord(" for", 0.0, 900.0, 1.0), TranscriptWord(" ever", 900.0, 1800.0, 1.0)),
    ],
)
def test_absurd_times_make_no_absurd_cues(words: tuple[TranscriptWord, ...]) -> None:
    cues = cues_of(final(words), final(spoken("next", start_s=0.1), 2))
    check(cues)
    assert text_of(cues).split() == [*(word.text.strip() for word in words), "next"]


_TEXTS = st.text(st.sampled_from("ab.,? 日。\x1b\n\u202e&<>-"), max_size=50)
_TIMES = st.floats(0, 500)


@given(st.lists(st.tuples(_TEXTS, _TIMES, _TIMES, st.integers(1, 3), st.booleans()), max_size=30))
def test_whatever_comes_cues_stay_in_order_and_small(
    given_words: list[tuple[str, float, float, int, bool]],
) -> None:
    events = [
        final((TranscriptWord(text, start_s, end_s, 1.0),), utterance, ends=ends)
        for text, start_s, end_s, utterance, ends in given_words
    ]
    cues = cues_of(*events)
    check(cues)
    kept = "".join(text for text, *_ in given_words)
    shown = "".join(line for cue in cues for line in cue.lines)
    assert shown.replace(" ", "") == "".join(c for c in kept if c not in "\x1b\n\u202e ")


@pytest.mark.parametrize(("quiet_until_s", "end_s"), [(None, 0.9), (0.6, 0.6), (0.3, 0.4), (5.0, 0.9)])
def test_a_cue_lingers_no_longer_than_it_is_quiet(quiet_until_s: float | None, end_s: float) -> None:
    """After it somebody speaks, or the film is over."""
    event = replace(final(spoken("Yes.")), quiet_until_s=quiet_until_s)
    [cue] = CueStream().take(event)
    assert cue.end_s == pytest.approx(end_s)
