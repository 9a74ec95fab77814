"""Delays in a histogram, and since when a word has been shown."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.speech.listening import ListenStats, Quantiles
from edge_runtime.speech.listening.event_writer import FirstShown


def test_quantiles_are_those_of_all_values() -> None:
    values = np.random.default_rng(5).gamma(2.0, 0.8, 5_000)
    quantiles = Quantiles()
    for value in values:
        quantiles.add(float(value))
    found = [quantiles.p50, quantiles.p90, quantiles.p95]
    assert found == pytest.approx(np.quantile(values, [0.5, 0.9, 0.95]), abs=0.011)
    assert quantiles.count == 5_000


def test_no_values_have_no_quantiles() -> None:
    assert Quantiles().as_json() == {"p50": None, "p90": None, "p95": None}


def test_less_than_nothing_is_nothing_and_more_than_a_minute_a_minute() -> None:
    quantiles = Quantiles()
    quantiles.add(-3.0)
    assert quantiles.p50 == 0
    quantiles.add(500.0)
    assert quantiles.p95 == pytest.approx(59.99)


def test_stats_of_nothing_can_be_written() -> None:
    written = ListenStats().as_json()
    assert written["type"] == "stats"
    assert written["cpu_s_per_audio_s"] is None


def test_a_word_is_shown_since_it_first_appeared() -> None:
    shown = FirstShown()
    shown.show([" the", " cat"], 1.0)
    shown.show([" The", " cat,", " sat"], 2.0)
    assert [shown.finish(word, 3.0) for word in (" the", " cat", " sat", " on")] == [1.0, 1.0, 2.0, 3.0]


def test_the_second_of_two_equal_words_is_a_word_of_its_own() -> None:
    shown = FirstShown()
    shown.show([" the"], 1.0)
    assert shown.finish(" the", 2.0) == 1.0
    shown.show([" cat", " and", " the"], 4.0)
    assert [shown.finish(word, 5.0) for word in (" cat", " and", " the")] == [4.0, 4.0, 4.0]


def test_a_new_utterance_begins_without_the_words_of_the_last() -> None:
    shown = FirstShown()
    shown.show([" the"], 1.0)
    shown.clear()
    assert shown.finish(" the", 2.0) == 2.0
