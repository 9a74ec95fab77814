"""Comparing transcripts with what was said, and adding up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge_runtime.bench.speech import (
    ClipResult,
    SpeechClip,
    WordErrors,
    choose_clips,
    find_loops,
    judge,
    normalize,
    read_manifest,
    require_scoring,
    summarize,
)
from edge_runtime.cli.command_line import build_parser, main
from edge_runtime.cli.commands.bench_speech import speech_lines
from edge_runtime.errors import EngineUnavailable, OptionInvalid
from edge_runtime.speech.listening import ListenStats


def clip(text: str, language: str = "en", name: str = "a.wav") -> SpeechClip:
    return SpeechClip(Path(name), language, text)


def result(
    said: str,
    live: str,
    whole: str,
    *,
    language: str = "en",
    seconds: float = 10.0,
    latencies_s: tuple[float, ...] = (),
    peak_bytes: int | None = 100,
) -> ClipResult:
    stats = ListenStats()
    stats.heard_s, stats.cpu_s, stats.peak_bytes = seconds, 2.0, peak_bytes
    for latency_s in latencies_s:
        stats.commit_latency_s.add(latency_s)
        stats.first_display_s.add(latency_s / 2)
    spoken = clip(said, language)
    return ClipResult(spoken, judge(spoken, live, 2.0), judge(spoken, whole, 1.0), stats)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("the cat sat", "The cat sat.", WordErrors(3, 0, 0, 0)),
        ("the cat sat", "the bat sat", WordErrors(3, 1, 0, 0)),
        ("the cat sat down", "the sat down", WordErrors(4, 0, 1, 0)),
        ("the cat", "the big black cat", WordErrors(2, 0, 0, 2)),
        ("the cat", "", WordErrors(2, 0, 2, 0)),
        ("wait for it", "wait... for it...", WordErrors(3, 0, 0, 0)),
        ("It's color 20", "it is colour twenty", WordErrors(4, 0, 0, 0)),
    ],
)
def test_errors_are_counted_by_kind(said: str, heard: str, errors: WordErrors) -> None:
    assert judge(clip(said), heard, 0.0).errors == errors


def test_nothing_said_has_no_rate_and_every_word_is_an_insertion() -> None:
    errors = judge(clip("..."), "thank you", 0.0).errors
    assert errors == WordErrors(0, 0, 0, 2)
    assert errors.rate is None


def test_accents_are_folded_and_letters_are_words_where_no_spaces_are_written() -> None:
    assert normalize("¿Está número?", "es") == "esta numero"
    assert normalize("谢谢你。", "zh") == "谢 谢 你"


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("", []),
        ("thank you thank you", []),
        ("thank you thank you thank you", ["thank you"]),
        ("no no no", ["no"]),
        ("a b c a b c a b c d", ["a b c"]),
        ("so a b a b a b a b a b then c c c", ["a b", "c"]),
    ],
)
def test_loops_are_found_once_each(text: str, loops: list[str]) -> None:
    assert find_loops(text) == loops


def test_what_was_said_three_times_is_no_loop() -> None:
    assert find_loops("no no no", said="well no no no") == []
    assert find_loops("no no no yes yes yes", said="no no no") == ["yes"]


def test_rates_are_of_all_words_not_means_of_clips() -> None:
    """One error in 1 word, none in 9: 10 %, where the mean of the two clips' rates is 50 %."""
    results = [result("yes", "no", "yes"), result("a b c d e f g h i", "a b c d e f g h i", "")]
    (summary,) = summarize(results)
    found = summary.as_json()
    assert found["live"]["word_error_rate"] == pytest.approx(0.1)
    assert found["whole"]["word_error_rate"] == pytest.approx(0.9)
    assert found["live"]["cpu_s_per_audio_s"] == pytest.approx(0.2)
    assert found["whole"]["cpu_s_per_audio_s"] == pytest.approx(0.1)


def test_latencies_are_of_all_words_together() -> None:
    results = [
        result("a", "a", "a", latencies_s=(1.0,) * 9),
        result("b", "b", "b", language="fr", latencies_s=(3.0,), peak_bytes=300),
    ]
    english, french, everything = summarize(results)
    assert (english.language, french.language, everything.language) == ("en", "fr", "all")
    assert everything.commit_latency_s.as_json() == {"p50": 1.0, "p90": 1.0, "p95": 3.0}
    assert everything.first_display_s.p95 == 1.5
    assert english.commit_latency_s.p95 == 1.0
    assert (everything.peak_bytes, everything.seconds) == (300, 20.0)


def test_the_table_fits_a_terminal() -> None:
    results = [
        result("a b c", "x y z w", "", language=language, seconds=12345.6, latencies_s=(11.11, 59.0))
        for language in ("en", "yue")
    ]
    lines = list(speech_lines(summarize(results)))
    assert max(map(len, lines)) <= 80
    assert re.match(r"yue +1 12345\.6 +133\.3 / 100\.0 % ", lines[2])


def test_the_table_says_what_is_not_known() -> None:
    (line, peak) = list(speech_lines(summarize([result("...", "", "", peak_bytes=None)])))[1:]
    assert "- / - %" in line
    assert "unknown" in peak


def test_manifest_paths_count_from_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text('{"path": "x/a.wav", "language": "French", "text": "oui", "seconds": 1}\n\n')
    assert read_manifest(path) == [SpeechClip(tmp_path / "x" / "a.wav", "fr", "oui")]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "names no clip"),
        ('{"path": "a"', "line 1 is not JSON"),
        ('{"path": "a", "language": "en", "text": "b"}\n["x"]', "line 2 lacks"),
        ('{"path": 3, "language": "en", "text": "b"}', "line 1 lacks"),
    ],
)
def test_a_wrong_manifest_is_told_with_its_line(tmp_path: Path, content: str, found: str) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text(content)
    with pytest.raises(OptionInvalid, match=found):
        read_manifest(path)


def test_a_missing_manifest_says_how_to_get_clips(tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match="No such file") as caught:
        read_manifest(tmp_path / "none.jsonl")
    assert "speech_clips.sh" in caught.value.hint


def test_clips_are_chosen_by_language_and_number() -> None:
    clips = [clip("x", language, f"{n}.wav") for n in range(3) for language in ("en", "fr")]
    chosen = choose_clips(clips, ("fr",), 2)
    assert [each.path.name for each in chosen] == ["0.wav", "1.wav"]
    assert len(choose_clips(clips)) == 6
    with pytest.raises(OptionInvalid, match="no clip is in 'de'"):
        choose_clips(clips, ("en", "de"))


def test_missing_packages_are_told_before_anything_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_runtime.bench.speech.scoring.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable) as caught:
        require_scoring()
    assert "edge-runtime[bench]" in caught.value.hint


def test_bench_alone_is_still_that_of_chat_models() -> None:
    chat = build_parser().parse_args(["bench", "--repeat", "2", "--model", "m"])
    speech = build_parser().parse_args(["bench", "speech", "--language", "en"])
    assert (chat.run.__module__, chat.repeat) == ("edge_runtime.cli.commands.bench", "2")
    assert (speech.run.__module__, speech.model) == ("edge_runtime.cli.commands.bench_speech", "whisper-base")


def test_wrong_choices_end_before_a_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text(json.dumps({"path": "a.wav", "language": "en", "text": "b"}))
    report = tmp_path / "report.json"
    report.write_text("kept")
    for options, found in (
        (["--limit", "0"], "--limit"),
        (["--language", "Klingon"], "Klingon"),
        (["-o", str(report)], "exists already"),
    ):
        assert main(["bench", "speech", "--manifest", str(path), *options]) == 2
        assert found in capsys.readouterr().err
    assert report.read_text() == "kept"
