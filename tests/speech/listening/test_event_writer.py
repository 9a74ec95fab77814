"""Words to events: order, seams, utterances."""

from __future__ import annotations

import pytest

from edge_runtime.speech.listening import ListenStats
from edge_runtime.speech.listening.event_writer import EventWriter, Place
from edge_runtime.speech.recognition.recognizer import RecognizedWord
from edge_runtime.speech.recognition.transcript import EventKind

START = Place(0.0, "en")


def words(*timed: tuple[str, float, float]) -> tuple[RecognizedWord, ...]:
    return tuple(RecognizedWord(f" {text}", start_s, end_s, 0.9, (1,)) for text, start_s, end_s in timed)


@pytest.fixture
def writer() -> EventWriter:
    return EventWriter(ListenStats(), lambda: 10.0)


def test_a_word_that_both_sides_of_a_cut_recognized_is_written_once(writer: EventWriter) -> None:
    writer.final(words(("go", 7.0, 7.5), ("home", 7.5, 8.1)), START)
    after_cut = Place(8.0, "en", cut=True)
    [final] = writer.final(words(("Home,", 0.0, 0.3), ("Bill", 0.3, 0.8)), after_cut)
    assert final.text == "Bill"


@pytest.mark.parametrize(("start_s", "cut"), [(0.0, False), (0.5, True)])
def test_a_word_that_was_said_twice_is_written_twice(writer: EventWriter, start_s: float, cut: bool) -> None:
    writer.final(words(("very", 7.5, 8.0)), START)
    [final] = writer.final(words(("very", start_s, start_s + 0.3)), Place(8.0, "en", cut=cut))
    assert final.text == "very"


def test_times_that_would_overlap_are_moved(writer: EventWriter) -> None:
    writer.final(words(("go", 7.0, 8.0)), START)
    [final] = writer.final(words(("home", 7.6, 7.9), ("now", 7.8, 8.4)), START)
    assert [(word.start_s, word.end_s) for word in final.words] == [(8.0, 8.0), (8.0, 8.4)]


def test_a_partial_comes_once_and_is_taken_back_when_nothing_is_left_of_it(writer: EventWriter) -> None:
    guess = words(("go", 0.0, 0.5))
    assert [event.text for event in writer.partial(guess, START)] == ["go"]
    assert writer.partial(guess, START) == []
    [event] = writer.final((), START, ends=True)
    assert (event.kind, event.text) == (EventKind.PARTIAL, "")


def test_an_utterance_without_a_final_takes_no_number(writer: EventWriter) -> None:
    writer.final((), START, ends=True)
    [final] = writer.final(words(("go", 0.0, 0.5)), START, ends=True)
    [after] = writer.final(words(("home", 1.0, 1.5)), START, ends=True)
    assert (final.utterance, after.utterance) == (0, 1)


def test_an_utterance_whose_words_are_all_final_is_ended_by_an_empty_final(writer: EventWriter) -> None:
    writer.final(words(("go", 0.0, 0.5)), START)
    [end] = writer.final((), START, ends=True)
    assert (end.kind, end.text, end.ends_utterance, end.utterance) == (EventKind.FINAL, "", True, 0)
    assert end.start_s == end.end_s == 0.5


def test_a_final_says_how_late_its_last_word_is(writer: EventWriter) -> None:
    [final] = writer.final(words(("go", 7.0, 8.0), ("home", 8.0, 8.5)), START)
    assert final.commit_latency_s == pytest.approx(1.5)
