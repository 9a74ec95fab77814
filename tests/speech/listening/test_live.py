"""The policy of live listening, with a recognizer that follows a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from support.scripted_speech import ScriptedRecognizer, SoundSource, Spoken, Timer, sentence, sound
from support.speech_parts import LoudSpeech

from edge_runtime.errors import AudioFormatUnsupported, OptionInvalid
from edge_runtime.speech.listening import ListenOptions, ListenStats, SimulatedClock, listen
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent
from edge_runtime.speech.vad import SegmentOptions

FOX = "the quick brown fox jumps over the lazy dog and runs away"
ALPHABET = " ".join(f"word{n}" for n in range(100))


@dataclass
class Run:
    script: Sequence[Spoken]
    length_s: float
    options: ListenOptions = field(default_factory=lambda: ListenOptions(language="en"))
    cost_s: float = 0.2
    error: Exception | None = None
    stop_at_s: float | None = None
    block_samples: int = 1_600

    def __post_init__(self) -> None:
        self.timer = Timer()
        self.recognizer = ScriptedRecognizer(self.script, self.timer, self.cost_s)
        self.stats = ListenStats()
        self.clock = SimulatedClock(self.timer)
        self.events: list[TranscriptEvent] = []
        self.times_s: list[float] = []

    def run(self) -> Run:
        source = SoundSource(sound(self.script, self.length_s), self.block_samples, self.error)
        listening = listen(
            source, self.recognizer, LoudSpeech(), self.options, stats=self.stats, clock=self.clock
        )
        for event in listening:
            self.events.append(event)
            self.times_s.append(self.clock.now_s())
            if self.stop_at_s is not None and self.clock.now_s() >= self.stop_at_s:
                listening.stop()
        return self

    @property
    def finals(self) -> list[TranscriptEvent]:
        return [event for event in self.events if event.kind is EventKind.FINAL]

    @property
    def partials(self) -> list[TranscriptEvent]:
        return [event for event in self.events if event.kind is EventKind.PARTIAL]

    @property
    def text(self) -> str:
        return "".join(word.text for event in self.finals for word in event.words).strip()


def test_every_word_is_told_once_and_in_order() -> None:
    script = [*sentence(FOX, 0.5), *sentence("see you later", 7.0)]
    run = Run(script, 10.0).run()
    assert run.text == FOX + " see you later"
    assert [event.kind for event in run.events].count(EventKind.END) == 1
    assert run.events[-1] == TranscriptEvent(EventKind.END, 0.0, 10.0)


def test_finals_have_the_times_of_the_stream_and_do_not_overlap() -> None:
    script = [*sentence(FOX, 0.5), *sentence("see you later", 7.0)]
    words = [word for event in Run(script, 10.0).run().finals for word in event.words]
    assert [word.start_s for word in words] == pytest.approx([spoken.start_s for spoken in script], abs=0.01)
    assert all(event.start_s <= event.end_s for event in Run(script, 10.0).run().events)
    ends = [0.0, *(word.end_s for word in words)]
    assert all(word.start_s >= end_s for word, end_s in zip(words, ends, strict=False))


def test_finals_of_one_utterance_share_its_number_and_the_last_one_ends_it() -> None:
    script = [*sentence(FOX, 0.5), *sentence("see you later", 7.0)]
    finals = Run(script, 10.0).run().finals
    assert {event.utterance for event in finals} == {0, 1}
    for number in (0, 1):
        own = [event.ends_utterance for event in finals if event.utterance == number]
        assert own == [False] * (len(own) - 1) + [True]


def test_words_become_final_while_the_speaker_goes_on() -> None:
    run = Run(sentence(ALPHABET[: 7 * 25], 0.5), 12.0).run()
    latencies = [event.commit_latency_s for event in run.finals]
    assert all(latency is not None and 0 < latency < 2.5 for latency in latencies)
    first_s = next(s for s, event in zip(run.times_s, run.events, strict=True) if event in run.finals)
    assert first_s < 4.0


def test_partials_show_what_is_not_final_and_a_word_is_shown_soon() -> None:
    run = Run(sentence(FOX, 0.5), 8.0).run()
    assert run.partials
    assert run.stats.first_display_s.count == run.stats.words == len(FOX.split())
    assert (run.stats.first_display_s.p95 or 9) < 1.3
    shown = [e.text for e in run.partials]
    assert not any(text.startswith("the quick") for text in shown[2:])  # final by then


def test_the_recognizer_is_given_what_is_certain_and_what_is_likely() -> None:
    calls = Run(sentence(FOX, 0.5), 8.0).run().recognizer.calls
    assert calls[0].prefix == calls[0].draft == ()
    assert calls[1].draft
    assert len(calls[-1].prefix) > 3
    assert all(after.prefix[: len(before.prefix)] == before.prefix for before, after in pairwise(calls))


def test_a_pause_is_looked_at_once_and_its_end_costs_nothing() -> None:
    run = Run(sentence("see you", 0.5), 8.0).run()
    assert run.text == "see you"
    assert len(run.recognizer.calls) <= 2
    final = run.finals[-1]
    assert final.commit_latency_s is not None
    assert final.commit_latency_s < 0.75  # half a second of quiet, and no decode after it


@pytest.mark.parametrize("missing_s", [0.0, 0.03, 0.1])
def test_a_stream_that_ends_with_its_last_word_tells_it(missing_s: float) -> None:
    script = sentence(FOX, 0.5)
    run = Run(script, script[-1].end_s - missing_s).run()
    assert run.text.split()[:-1] == FOX.split()[:-1]
    assert len(run.text.split()) == len(FOX.split())


def test_stop_tells_the_last_word_of_what_was_heard() -> None:
    run = Run(sentence(ALPHABET, 0.5), 45.0, stop_at_s=5.0).run()
    assert run.events[-1].kind is EventKind.END
    assert 5.0 <= run.events[-1].end_s < 6.5
    heard = int((run.events[-1].end_s - 0.5) / 0.4)
    assert len(run.text.split()) in (heard, heard + 1)


def test_silence_is_never_given_to_the_recognizer() -> None:
    run = Run([], 60.0).run()
    assert run.recognizer.calls == []
    assert [event.kind for event in run.events] == [EventKind.END]


def test_speech_without_a_pause_is_cut_without_losing_or_repeating_a_word() -> None:
    run = Run(sentence(ALPHABET, 0.5), 42.0).run()
    assert run.text == ALPHABET
    assert max(call.length_s for call in run.recognizer.calls) < 16.1
    assert {event.utterance for event in run.finals} == {0}
    assert [event.ends_utterance for event in run.finals].count(True) == 1


@pytest.mark.parametrize("word_s", [0.15, 0.37, 0.83])
def test_cuts_fall_anywhere_in_words_of_any_length(word_s: float) -> None:
    text = " ".join(f"word{n}" for n in range(int(40 / word_s)))
    run = Run(sentence(text, 0.5, word_s=word_s), 42.0).run()
    assert run.text == text


def test_an_utterance_that_was_cut_ends_where_nobody_goes_on() -> None:
    run = Run(sentence(ALPHABET, 0.5)[:34], 20.0).run()  # 13.6 s: it is cut shortly before its end
    assert run.text == " ".join(ALPHABET.split()[:34])
    assert run.finals[-1].ends_utterance


def test_a_word_that_was_misheard_at_first_is_told_as_it_is_heard_later() -> None:
    run = Run(sentence(FOX, 0.5), 8.0)
    run.recognizer.mishears = {"fox": ("socks", 3.0)}
    assert run.run().text == FOX
    assert any("socks" in event.text for event in run.partials)


def test_blocks_of_ten_seconds_lose_nothing() -> None:
    script = [*sentence(ALPHABET, 0.5), *sentence("see you later", 43.0)]
    run = Run(script, 46.0, block_samples=160_000).run()
    assert run.text == ALPHABET + " see you later"


# --- too slow a machine ---------------------------------------------------------------


def test_a_slow_machine_looks_less_often() -> None:
    quick, slow = (Run(sentence(ALPHABET, 0.5), 45.0, cost_s=cost_s).run() for cost_s in (0.1, 1.6))
    assert len(slow.recognizer.calls) < 0.65 * len(quick.recognizer.calls)
    assert slow.partials
    assert slow.text == quick.text == ALPHABET


def test_a_machine_that_is_much_too_slow_leaves_out_partials_but_no_word() -> None:
    script = [*sentence(ALPHABET, 0.5), *sentence("see you later", 45.0)]
    run = Run(script, 50.0, cost_s=6.0).run()
    assert run.text == ALPHABET + " see you later"
    assert len(run.recognizer.calls) <= 10  # pieces of at most 10 s, and what follows a cut
    assert run.stats.dropped_s == 0


def test_after_a_slow_moment_partials_come_back() -> None:
    script = [*sentence(ALPHABET, 0.5), *sentence(ALPHABET, 60.0)]
    run = Run(script, 105.0, cost_s=6.0)
    listening = listen(
        SoundSource(sound(script, 105.0)), run.recognizer, LoudSpeech(), run.options, clock=run.clock
    )
    kinds = []
    for event in listening:
        kinds.append(event.kind)
        if event.start_s > 30:
            run.recognizer.cost_s = 0.1
    assert kinds[-40:].count(EventKind.PARTIAL) > 10


# --- what is not believed ---------------------------------------------------------------


def test_unlikely_words_out_of_a_scrap_of_sound_are_not_told() -> None:
    run = Run(sentence("thanks", 1.0), 3.0)
    run.recognizer.logprob = -1.5
    assert run.run().events == [TranscriptEvent(EventKind.END, 0.0, 3.0)]


def test_words_where_the_model_hears_no_speech_are_not_told() -> None:
    run = Run(sentence("thanks for watching", 1.0), 4.0)
    run.recognizer.logprob, run.recognizer.no_speech_probability = -1.1, 0.9
    assert run.run().text == ""


def test_a_look_that_ran_away_shows_nothing_and_the_end_is_looked_at_again() -> None:
    run = Run(sentence("see you later", 0.5), 4.0)
    run.recognizer.runaway_below_s = 5.0
    assert run.run().text == "see you later"
    assert run.partials == []
    assert run.recognizer.calls[-1].options.second_try


# --- language ---------------------------------------------------------------------------


@pytest.mark.parametrize("longest_s", [14.0, 8.0])
def test_a_sentence_said_twice_is_told_twice(longest_s: float) -> None:
    """The second one is taken for the first, once that is given as what was said."""
    script = [*sentence(FOX, 0.5), *sentence(FOX, 0.5 + 0.4 * len(FOX.split()))]
    run = Run(script, 12.0, options=ListenOptions(segments=SegmentOptions(longest_segment_s=longest_s)))
    run.recognizer.most_prefix_tokens = len(FOX.split())
    assert run.run().text == f"{FOX} {FOX}"


@pytest.mark.parametrize("longest_s", [14.0, 8.0])
def test_a_recognizer_that_ends_early_is_asked_for_the_rest(longest_s: float) -> None:
    text = " ".join(f"word{n}" for n in range(28))
    segments = SegmentOptions(longest_segment_s=longest_s)
    run = Run(sentence(text, 0.5), 14.0, ListenOptions(language="en", segments=segments))
    run.recognizer.most_words = 7
    assert run.run().text == text


def test_an_utterance_in_another_language_is_heard() -> None:
    script = [*sentence(FOX, 0.5), *sentence("bonjour madame et monsieur", 7.0), *sentence(FOX, 10.5)]
    run = Run(script, 17.0, ListenOptions())
    run.recognizer.foreign = dict.fromkeys("bonjour madame et monsieur".split(), "fr")
    assert run.run().text == f"{FOX} bonjour madame et monsieur {FOX}"


def test_a_language_that_was_given_is_used() -> None:
    run = Run(sentence(FOX, 0.5), 8.0, ListenOptions(language="fr")).run()
    assert {call.options.language for call in run.recognizer.calls} == {"fr"}
    assert {event.language for event in run.finals} == {"fr"}


def test_a_language_is_detected_once_and_kept() -> None:
    run = Run([*sentence(FOX, 0.5), *sentence("see you later", 7.0)], 10.0, ListenOptions())
    run.recognizer.language = "de"
    languages = [call.options.language for call in run.run().recognizer.calls]
    assert languages[0] is None
    assert set(languages[3:]) == {"de"}
    assert {event.language for event in run.finals} == {"de"}


def test_unlikely_words_make_it_listen_for_another_language() -> None:
    run = Run(sentence("how are you doing today", 0.5), 4.0, ListenOptions())
    run.recognizer.language = "en"
    first = run.run()
    assert {event.language for event in first.finals} == {"en"}


def test_an_unknown_language_is_refused_before_any_sound_is_read() -> None:
    source = SoundSource(np.zeros(16_000, np.float32))
    with pytest.raises(OptionInvalid, match="klingon") as error:
        listen(source, ScriptedRecognizer([]), LoudSpeech(), ListenOptions(language="klingon"))
    assert "en" in error.value.hint
    assert source.taken_s == 0


# --- translation, errors --------------------------------------------------------------


def test_translation_comes_utterance_by_utterance_and_without_partials() -> None:
    script = [*sentence(FOX, 0.5), *sentence("see you later", 7.0)]
    run = Run(script, 10.0, ListenOptions(language="fr", translate=True)).run()
    assert [event.text for event in run.finals] == [f"English: {FOX}", "English: see you later"]
    assert all(event.ends_utterance and not event.words for event in run.finals)
    assert [event.utterance for event in run.finals] == [0, 1]
    assert run.partials == []


@pytest.mark.parametrize("later_s", [None, 12.0])
def test_a_translation_that_was_cut_is_ended_when_nobody_goes_on(later_s: float | None) -> None:
    script = [Spoken("word", 0.5, 5.18)]  # what is left of it behind the cut is too short for a segment
    rest = sentence("see you later", later_s) if later_s else []
    segments = SegmentOptions(longest_segment_s=5.0, cut_search_s=0.1, shortest_cut_s=0.0)
    options = ListenOptions(language="fr", translate=True, segments=segments)
    run = Run([*script, *rest], 16.0, options).run()
    by_utterance: dict[int, list[bool]] = {}
    for event in run.finals:
        by_utterance.setdefault(event.utterance, []).append(event.ends_utterance)
    assert len(by_utterance) == (2 if later_s else 1)
    for ended in by_utterance.values():
        assert ended == [False] * (len(ended) - 1) + [True]


def test_what_was_heard_before_an_error_is_told_before_it_is_raised() -> None:
    script = sentence(FOX, 0.5)
    run = Run(script, 5.5, error=AudioFormatUnsupported("it breaks off", hint="get it again"))
    with pytest.raises(AudioFormatUnsupported, match="breaks off"):
        run.run()
    assert run.text == FOX
    assert run.events[-1].kind is EventKind.END


def test_closing_in_the_middle_ends_the_iteration() -> None:
    with listen(
        SoundSource(sound(sentence(FOX, 0.5), 8.0)),
        ScriptedRecognizer(sentence(FOX, 0.5)),
        LoudSpeech(),
        clock=SimulatedClock(Timer()),
    ) as listening:
        next(listening)
    assert list(listening) == []
