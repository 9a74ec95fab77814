"""faster-whisper as a recognizer, beside ours, on real speech. Skipped where it or its model is not here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from support.clips import Clip, word_error_rate, words
from support.scripted_speech import SoundSource

from edge_runtime.errors import EngineClosed, ModelFileInvalid, OptionInvalid
from edge_runtime.speech.listening import ListenOptions, SimulatedClock, listen, transcribe
from edge_runtime.speech.recognition.recognizer import Recognition, RecognitionOptions, StopReason
from edge_runtime.speech.recognition.transcript import EventKind
from edge_runtime.speech.vad import SileroModel
from edge_runtime.speech.whisper import WhisperRecognizer, open_recognizer

pytest.importorskip("faster_whisper", reason='pip install "edge-runtime[faster-whisper]"')

# Now, while HOME is still the user's.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-runtime"
_MODEL = Path(os.environ.get("EDGE_RUNTIME_REFERENCE_SPEECH") or _CACHE / "reference-speech") / "whisper-base"
SECOND = 16_000
NAMES = {
    *(("en", "vm-record-prepend"), ("en", "queue-periodic-announce"), ("fr", "confbridge-lock-extended")),
    *(("it", "tt-allbusy"), ("es", "confbridge-inc-list-vol-in"), ("ru", "confbridge-lock-extended")),
}


@pytest.fixture(scope="module")
def theirs() -> Iterator[WhisperRecognizer]:
    if not (_MODEL / "model.bin").is_file():
        pytest.skip(f"{_MODEL}: no model.bin; scripts/reference_speech.sh fetches it")
    with open_recognizer(_MODEL, threads=2) as recognizer:
        yield recognizer


@pytest.fixture(scope="module")
def ours(whisper_path: Path) -> Iterator[WhisperRecognizer]:
    with open_recognizer(whisper_path, threads=2) as recognizer:
        yield recognizer


@pytest.fixture(scope="module")
def chosen(speech_clips: list[Clip]) -> list[Clip]:
    return [clip for clip in speech_clips if (clip.language, clip.name) in NAMES]


@pytest.fixture(scope="module")
def english(chosen: list[Clip]) -> Clip:
    return next(clip for clip in chosen if clip.name == "vm-record-prepend")


def recognize(recognizer: WhisperRecognizer, clip: Clip) -> Recognition:
    return recognizer.recognize(clip.samples, RecognitionOptions(language=clip.language, words=True))


def test_both_engines_hear_the_same(
    theirs: WhisperRecognizer, ours: WhisperRecognizer, chosen: list[Clip]
) -> None:
    """Measured: the same text in all six, and no word more than 0.04 s apart."""
    pairs = [(recognize(theirs, clip), recognize(ours, clip)) for clip in chosen]
    same = [(one, other) for one, other in pairs if words(one.text) == words(other.text)]
    assert len(same) >= 5
    timed = [pair for one, other in same for pair in zip(one.words, other.words, strict=False)]
    assert median(abs(one.start_s - other.start_s) for one, other in timed) < 0.1
    assert median(abs(one.end_s - other.end_s) for one, other in timed) < 0.1
    for one, other in same:
        assert abs(one.mean_logprob - other.mean_logprob) < 0.1
        assert abs(one.no_speech_probability - other.no_speech_probability) < 0.1
        assert not one.times_are_guessed


def test_a_prefix_is_where_the_transcript_begins_and_a_draft_changes_nothing(
    theirs: WhisperRecognizer, english: Clip
) -> None:
    plain = recognize(theirs, english)
    options = RecognitionOptions(language="en", words=True)
    assert len(plain.token_logprobs) == len(plain.tokens)
    for count in (1, 5, len(plain.tokens)):
        found = theirs.recognize(english.samples, options, prefix=plain.tokens[:count])
        assert (found.tokens, found.stopped_by) == (plain.tokens, StopReason.END)
        assert found.mean_logprob == pytest.approx(plain.mean_logprob, abs=0.05)
    other = plain.tokens[7]
    forced = theirs.recognize(english.samples, options, prefix=(other,))
    assert forced.tokens[0] == other
    assert "".join(word.text for word in forced.words).strip() == forced.text
    drafted = theirs.recognize(english.samples, options, draft=plain.tokens[:9])
    assert drafted.tokens == plain.tokens


def test_words_are_the_transcript_and_follow_each_other(theirs: WhisperRecognizer, english: Clip) -> None:
    found = recognize(theirs, english)
    times_s = [time_s for word in found.words for time_s in (word.start_s, word.end_s)]
    assert times_s == sorted(times_s)
    assert times_s[0] >= 0.0 and times_s[-1] <= len(english.samples) / SECOND
    assert tuple(token for word in found.words for token in word.tokens) == found.tokens
    assert all(0.0 < word.probability <= 1.0 for word in found.words)


def test_the_language_is_heard(theirs: WhisperRecognizer, chosen: list[Clip]) -> None:
    for clip in chosen:
        code, probability = theirs.detect_language(clip.samples)
        assert code == clip.language
        assert 0.5 < probability <= 1.0
        found = theirs.recognize(clip.samples[: 4 * SECOND])
        assert found.language == clip.language


def test_limits_and_tasks_are_kept(theirs: WhisperRecognizer, chosen: list[Clip], english: Clip) -> None:
    plain = recognize(theirs, english)
    for most in (1, 3, 7):
        options = RecognitionOptions(language="en", most_tokens=most)
        found = theirs.recognize(english.samples, options)
        assert (found.tokens, found.stopped_by) == (plain.tokens[:most], StopReason.LIMIT)
    italian = next(clip for clip in chosen if clip.language == "it")
    translated = theirs.recognize(italian.samples, RecognitionOptions(language="it", translate=True))
    assert {"operators", "line"} & set(words(translated.text))
    with pytest.raises(OptionInvalid, match="language"):
        theirs.recognize(english.samples, RecognitionOptions(language="xx"))


def test_what_runs_away_is_stopped(theirs: WhisperRecognizer, english: Clip) -> None:
    """A loop is given as prefix; the guard ends it, as soon as one more turn is written."""
    said = recognize(theirs, english).tokens[:3]
    options = RecognitionOptions(language="en", second_try=False)
    found = theirs.recognize(english.samples[: SECOND // 2], options, prefix=said * 40)
    assert found.stopped_by is StopReason.GUARD


@pytest.mark.parametrize("length", [0, 1, 160, 1_600])
def test_a_scrap_of_sound_is_no_error(theirs: WhisperRecognizer, english: Clip, length: int) -> None:
    found = theirs.recognize(english.samples[:length], RecognitionOptions(words=True))
    assert len(found.words) <= len(found.tokens)


def test_it_runs_live_and_over_whole_files(
    theirs: WhisperRecognizer, silero_path: Path, english: Clip, no_network: list[object]
) -> None:
    model = SileroModel(silero_path)
    sound = np.concatenate((np.zeros(SECOND, np.float32), english.samples, np.zeros(SECOND, np.float32)))
    with listen(SoundSource(sound), theirs, model, ListenOptions(), clock=SimulatedClock()) as listening:
        live = list(listening)
    whole = list(transcribe(SoundSource(sound), theirs, SileroModel(silero_path)))
    for events in (live, whole):
        finals = [event for event in events if event.kind is EventKind.FINAL]
        assert word_error_rate([(english.text, " ".join(event.text for event in finals))]) < 0.15
        assert {event.language for event in finals if event.text} == {"en"}
    assert any(event.kind is EventKind.PARTIAL and event.text for event in live)
    assert no_network == []


def test_a_damaged_tokenizer_is_our_error(tmp_path: Path, theirs: WhisperRecognizer) -> None:
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (tmp_path / name).symlink_to(_MODEL / name)
    (tmp_path / "tokenizer.json").write_text('{"model": 3')
    with pytest.raises(ModelFileInvalid, match="faster-whisper can open"):
        open_recognizer(tmp_path)


def test_a_closed_one_says_so(theirs: WhisperRecognizer, english: Clip) -> None:
    with open_recognizer(_MODEL, threads=1) as other:
        pass
    other.close()
    with pytest.raises(EngineClosed):
        recognize(other, replace(english))
