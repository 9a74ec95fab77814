"""Transcript files as other programs read them."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
import srt
import webvtt
from support.spoken import END, final, partial, spoken, untimed

from edge_runtime.speech.captions import CaptionFormat, make_writer
from edge_runtime.speech.captions.subtitles import srt_time, vtt_time
from edge_runtime.speech.recognition.transcript import TranscriptEvent, TranscriptWord

EVENTS = [
    partial("Good"),
    final(spoken("Good morning, everybody."), 1),
    final(spoken("This came", start_s=3.0), 2, ends=False),
    final(spoken("in two pieces.", start_s=3.8), 2),
    final((), 3),
]
NASTY = "a & b < c --> d <i>e</i> &amp; {f}"


def written(form: CaptionFormat, *events: TranscriptEvent, words: bool = False, gist: bool = False) -> str:
    writer = make_writer(form, words=words, gist=gist)
    return writer.head + "".join(writer.take(event) for event in (*events, END)) + writer.finish()


def test_text_has_an_utterance_a_line() -> None:
    assert written(CaptionFormat.TEXT, *EVENTS) == "Good morning, everybody.\nThis came in two pieces.\n"


def test_text_takes_the_spaces_of_the_words() -> None:
    japanese = [
        TranscriptWord(sign, float(n), n + 1.0, 1.0)
        for n, sign in enumerate(("吾輩", "は", "猫", "である。"))
    ]
    events = (final(tuple(japanese[:2]), ends=False), final(tuple(japanese[2:])))
    assert written(CaptionFormat.TEXT, *events) == "吾輩は猫である。\n"


def test_an_utterance_that_nothing_ends_keeps_its_line() -> None:
    events = (final(spoken("One"), 1, ends=False), untimed("Two", 2.0, 3.0, 2))
    assert written(CaptionFormat.TEXT, *events) == "One\nTwo\n"


def test_control_characters_reach_no_file() -> None:
    word = (TranscriptWord(" \x1b]0;pwned\x07\u202eab\n\ncd", 0.0, 1.0, 1.0),)
    for form in CaptionFormat:
        text = written(form, final(word), words=True)
        assert not set("\x1b\x07\u202e") & set(text), form
    assert next(srt.parse(written(CaptionFormat.SRT, final(word)))).content == "]0;pwnedab  cd"


def test_srt_is_read_by_a_strict_parser() -> None:
    entries = list(srt.parse(written(CaptionFormat.SRT, *EVENTS), ignore_errors=False))
    assert [(entry.index, entry.content) for entry in entries] == [
        (1, "Good morning, everybody."),
        (2, "This came in two pieces."),
    ]
    assert entries[0].start == timedelta(0)
    assert entries[1].start == timedelta(seconds=3)


def test_webvtt_is_read_by_a_parser() -> None:
    captions = webvtt.from_string(written(CaptionFormat.VTT, *EVENTS)).captions
    assert [caption.text for caption in captions] == ["Good morning, everybody.", "This came in two pieces."]
    assert captions[1].start == "00:00:03.000"


def test_signs_that_mean_something_are_escaped_in_webvtt() -> None:
    text = written(CaptionFormat.VTT, untimed(NASTY, 0.0, 5.0))
    body = text.split("\n", 3)[3]
    assert " ".join(body.split()) == "a &amp; b &lt; c --&gt; d &lt;i&gt;e&lt;/i&gt; &amp;amp; {f}"
    assert "-->" not in body and "<" not in body
    assert len(webvtt.from_string(text).captions) == 1


def test_srt_has_no_tags_that_nobody_wrote() -> None:
    (entry,) = srt.parse(written(CaptionFormat.SRT, untimed(NASTY, 0.0, 5.0)))
    assert "<" not in entry.content and ">" not in entry.content
    assert "‹i›e‹/i›" in entry.content


@pytest.mark.parametrize("form", [CaptionFormat.SRT, CaptionFormat.VTT])
def test_a_hundred_hours_are_no_problem(form: CaptionFormat) -> None:
    text = written(form, final(spoken("Still here.", start_s=360_000.0 + 3_661.25)))
    if form is CaptionFormat.SRT:
        (entry,) = srt.parse(text)
        assert entry.start == timedelta(hours=101, minutes=1, seconds=1, milliseconds=250)
    else:
        assert "101:01:01.250 --> 101:01:02.2" in text


@pytest.mark.parametrize(
    ("time_s", "shown"),
    [
        (0.0, "00:00:00,000"),
        (0.0004, "00:00:00,000"),
        (59.9996, "00:01:00,000"),
        (3599.9996, "01:00:00,000"),
        (-1.0, "00:00:00,000"),
    ],
)
def test_times_are_rounded_to_milliseconds_with_their_carry(time_s: float, shown: str) -> None:
    assert srt_time(time_s) == shown
    assert vtt_time(time_s) == shown.replace(",", ".")


def test_silence_is_a_file_too() -> None:
    assert written(CaptionFormat.TEXT) == written(CaptionFormat.SRT) == ""
    assert len(webvtt.from_buffer(io.StringIO(written(CaptionFormat.VTT))).captions) == 0
    assert json.loads(written(CaptionFormat.JSONL))["type"] == "end"


def test_json_lines_tell_everything() -> None:
    word = TranscriptWord(" Hi", 0.12345, 0.4567, 0.98765)
    lines = written(CaptionFormat.JSONL, partial("H"), final((word,)), words=True).splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "type": "partial",
            "start_s": 1.0,
            "end_s": 2.0,
            "text": "H",
            "language": "en",
            "words": [],
            "commit_latency_s": None,
        },
        {
            "type": "final",
            "start_s": 0.123,
            "end_s": 0.457,
            "text": "Hi",
            "language": "en",
            "words": [{"text": "Hi", "start_s": 0.123, "end_s": 0.457, "probability": 0.988}],
            "commit_latency_s": 1.25,
        },
        {
            "type": "end",
            "start_s": 0.0,
            "end_s": 60.0,
            "text": "",
            "language": "",
            "words": [],
            "commit_latency_s": None,
        },
    ]


def test_json_lines_have_words_only_where_asked_for() -> None:
    assert '"words"' not in written(CaptionFormat.JSONL, *EVENTS)


def test_a_gist_is_called_so_where_the_format_can() -> None:
    assert json.loads(written(CaptionFormat.JSONL, gist=True))["gist"] is True
    vtt = written(CaptionFormat.VTT, *EVENTS, gist=True)
    assert "NOTE a gist" in vtt
    assert len(webvtt.from_string(vtt).captions) == 2
