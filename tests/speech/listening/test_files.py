"""Whole files: packing, times, errors, and memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from support.scripted_speech import ScriptedRecognizer, SoundSource, Spoken, sentence, sound
from support.speech_parts import LoudSpeech

from edge_runtime.errors import AudioFormatUnsupported
from edge_runtime.speech.captions.cue_stream import CueStream
from edge_runtime.speech.listening import ListenOptions, transcribe
from edge_runtime.speech.listening.packing import Pack, Packer
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent
from edge_runtime.speech.vad import EndReason, SpeechEnded
from edge_runtime.values.progress import QuietProgress

FOX = "the quick brown fox jumps over the lazy dog"


def segment(start_s: float, length_s: float) -> SpeechEnded:
    start, end = round(start_s * 16_000), round((start_s + length_s) * 16_000)
    return SpeechEnded(start, end, EndReason.SILENCE, np.full(end - start, start_s, np.float32))


def phrases(count: int, every_s: float) -> list[Spoken]:
    return [word for n in range(count) for word in sentence(f"this is phrase {n}", 1.0 + n * every_s)]


def run(
    script: list[Spoken], length_s: float, **options: str | bool
) -> tuple[ScriptedRecognizer, list[TranscriptEvent]]:
    recognizer = ScriptedRecognizer(script)
    source = SoundSource(sound(script, length_s))
    listen_options = ListenOptions(**{"language": "en", **options})  # type: ignore[arg-type]
    return recognizer, list(transcribe(source, recognizer, LoudSpeech(), listen_options))


def test_each_utterance_is_a_final_with_its_words_and_times() -> None:
    script = phrases(3, 4.0)
    _, events = run(script, 14.0)
    assert [event.text for event in events] == [*(f"this is phrase {n}" for n in range(3)), ""]
    assert all(event.ends_utterance for event in events[:-1])
    assert [event.utterance for event in events[:-1]] == [0, 1, 2]
    assert events[-1] == TranscriptEvent(EventKind.END, 0.0, 14.0)
    assert all(event.commit_latency_s is None for event in events)


def test_an_empty_source_has_an_end_alone() -> None:
    recognizer, events = run([], 0.0)
    assert events == [TranscriptEvent(EventKind.END, 0.0, 0.0)]
    assert recognizer.calls == []


def test_segments_are_packed_and_unpacked_at_the_same_places() -> None:
    pack = Pack((segment(1.0, 2.0), segment(3.1, 1.0), segment(60.0, 3.0)))
    assert pack.length_samples == len(pack.samples())
    assert pack.starts_s() == pytest.approx([0.0, 2.1, 3.4])
    for start_s, own in zip(pack.starts_s(), pack.segments, strict=True):
        first = round(start_s * 16_000)
        np.testing.assert_array_equal(pack.samples()[first : first + len(own.samples)], own.samples)


def test_a_pack_is_as_long_as_there_is_room() -> None:
    packer = Packer(10.0)
    packs = [pack for n in range(8) for pack in packer.push(segment(5.0 * n, 3.0))] + list(packer.finish())
    assert [len(pack.segments) for pack in packs] == [3, 3, 2]
    assert all(pack.length_samples <= 160_000 for pack in packs)


def test_speech_without_a_pause_is_cut_into_pieces_that_join() -> None:
    text = " ".join(f"word{n}" for n in range(150))
    recognizer, events = run(sentence(text, 0.5), 62.0)
    told = [word for event in events[:-1] for word in event.text.split() if not word.endswith("-")]
    assert len(told) == len(set(told))
    assert 147 <= len(told) <= 150  # at each of two cuts, one word may have been halved
    assert max(call.length_s for call in recognizer.calls) <= 30.0


def test_finals_do_not_overlap() -> None:
    _, events = run(phrases(30, 1.9), 60.0)
    ends_s = [0.0, *(event.end_s for event in events[:-1])]
    assert all(event.start_s >= end_s for event, end_s in zip(events[:-1], ends_s, strict=False))


@pytest.mark.parametrize("length_s", [2.15, 2.4, 5.0])
def test_a_final_tells_how_long_it_is_quiet_after_it(length_s: float) -> None:
    """Until the pause was long enough, or the sound was over."""
    _, events = run(sentence("this is it now", 0.5), length_s)
    assert events[0].quiet_until_s == pytest.approx(min(length_s, 2.1 + 0.5), abs=0.04)
    stream = CueStream()
    [cue] = [cue for event in events for cue in stream.take(event)]
    assert cue.end_s <= length_s


def test_a_loop_in_a_pack_does_not_lose_the_other_segments() -> None:
    script = phrases(3, 4.0)
    recognizer = ScriptedRecognizer(script, runaway_above_s=4.0)
    source = SoundSource(sound(script, 14.0))
    events = list(transcribe(source, recognizer, LoudSpeech(), ListenOptions(language="en")))
    assert [event.text for event in events[:-1]] == [f"this is phrase {n}" for n in range(3)]


def hear(script: list[Spoken], length_s: float, language: str | None = None, **how: Any) -> list[str]:
    """ "language: words" of each final."""
    recognizer = ScriptedRecognizer(script, **how)
    source = SoundSource(sound(script, length_s))
    events = transcribe(source, recognizer, LoudSpeech(), ListenOptions(language=language))
    return [f"{event.language}: {event.text}" for event in events][:-1]


def test_a_recognizer_that_ends_early_is_asked_for_the_rest() -> None:
    text = " ".join(f"word{n}" for n in range(60))
    assert hear(sentence(text, 0.5), 25.0, "en", most_words=7) == [f"en: {text}"]


def test_each_segment_of_a_pack_is_heard_in_its_own_language() -> None:
    """In the language of the first one, the recognizer leaves the others out."""
    script = [*sentence("good morning", 0.5), *sentence("bonjour madame", 3.0), *sentence("good night", 6.0)]
    foreign = {"bonjour": "fr", "madame": "fr"}
    expected = ["en: good morning", "fr: bonjour madame", "en: good night"]
    assert hear(script, 8.0, foreign=foreign) == expected


def test_a_language_that_changes_without_a_pause_is_heard() -> None:
    script = sentence("so he said to me bonjour madame et monsieur au revoir and he left the room", 0.5)
    foreign = dict.fromkeys("bonjour madame et monsieur au revoir".split(), "fr")
    finals = hear(script, 9.0, foreign=foreign)
    assert finals == [
        "en: so he said to me",
        "fr: bonjour madame et monsieur au revoir",
        "en: and he left the room",
    ]


def test_a_language_that_was_given_stays() -> None:
    script = [*sentence("good morning", 0.5), *sentence("bonjour madame", 3.0)]
    foreign = {"bonjour": "fr", "madame": "fr"}
    assert hear(script, 5.0, "en", foreign=foreign) == ["en: good morning"]


def test_unlikely_words_are_not_told() -> None:
    recognizer = ScriptedRecognizer(sentence("thanks", 1.0), logprob=-1.5)
    events = list(transcribe(SoundSource(sound(recognizer.script, 3.0)), recognizer, LoudSpeech()))
    assert [event.kind for event in events] == [EventKind.END]


def test_the_language_of_the_first_piece_is_kept() -> None:
    script = phrases(20, 4.0)
    recognizer = ScriptedRecognizer(script, language="de")
    events = list(transcribe(SoundSource(sound(script, 82.0)), recognizer, LoudSpeech()))
    assert [call.options.language for call in recognizer.calls][:2] == [None, "de"]
    assert {event.language for event in events[:-1]} == {"de"}


def test_translation_is_one_final_for_each_utterance_without_words() -> None:
    script = phrases(2, 4.0)
    _, events = run(script, 10.0, translate=True)
    assert [event.text for event in events[:-1]] == [f"English: this is phrase {n}" for n in range(2)]
    assert not any(event.words for event in events)


def test_what_was_heard_before_an_error_is_told_before_it_is_raised() -> None:
    script = sentence(FOX, 0.5)
    error = AudioFormatUnsupported("only 5.0 s could be read", hint="get it again")
    source = SoundSource(sound(script, 5.0), error=error)
    events: list[TranscriptEvent] = []
    with pytest.raises(AudioFormatUnsupported, match=r"only 5\.0 s"):
        for event in transcribe(source, ScriptedRecognizer(script), LoudSpeech()):
            events.append(event)
    assert [event.text for event in events] == [FOX, ""]


def test_utterances_are_told_while_the_file_is_read() -> None:
    script = phrases(50, 4.0)
    source = SoundSource(sound(script, 202.0))
    events = transcribe(source, ScriptedRecognizer(script), LoudSpeech())
    behind_s = [source.taken_s - event.end_s for event in events]
    assert len(behind_s) == 51
    assert max(behind_s) < 70.0  # a pack of half a minute of speech, in which as much is silence


class Counting(QuietProgress):
    def __init__(self) -> None:
        self.done = self.total = 0

    @contextmanager
    def steps(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        self.total = total
        yield self._add

    def _add(self, count: int) -> None:
        self.done += count


def test_progress_counts_the_seconds_of_the_source() -> None:
    progress = Counting()
    source = SoundSource(sound(sentence(FOX, 0.5), 7.0))
    list(transcribe(source, ScriptedRecognizer(sentence(FOX, 0.5)), LoudSpeech(), progress=progress))
    assert (progress.done, progress.total) == (7, 7)


def test_progress_counts_what_is_told_and_not_what_is_read() -> None:
    progress, counts = Counting(), []
    source = SoundSource(sound(phrases(4, 10.0), 40.0))
    for event in transcribe(source, ScriptedRecognizer(phrases(4, 10.0)), LoudSpeech(), progress=progress):
        counts.append((round(event.start_s), progress.done))
    assert counts == [(1, 1), (11, 1), (21, 1), (31, 1), (0, 40)]  # all four in one pack
    assert source.taken_s == 40.0
