"""Blocks of any length, with holes, through the voice detector; and files that are no model."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import EngineUnavailable, ModelFileInvalid, ModelNotFound, ModelUnsupported
from edge_runtime.speech.audio import AudioBlock, Samples
from edge_runtime.speech.vad import (
    FRAME_SAMPLES,
    SegmentOptions,
    SileroModel,
    SpeechDetector,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)

SECOND = 16_000


class LoudIsSpeech:
    """How loud a frame is says how likely it is speech; the frame before has a say, as in a real model."""

    frame_samples = FRAME_SAMPLES

    def __init__(self) -> None:
        self.resets = 0
        self._before = 0.0

    def probabilities(self, frames: Samples) -> Samples:
        found = []
        for frame in frames:
            self._before = 0.2 * self._before + 0.8 * float(np.abs(frame).mean())
            found.append(self._before)
        return np.array(found, np.float32)

    def reset(self) -> None:
        self.resets += 1
        self._before = 0.0


def sound(*runs: tuple[float, float]) -> Samples:
    """(seconds, level) after one another."""
    return np.concatenate([np.full(round(s * SECOND), level, np.float32) for s, level in runs])


def detect(samples: Samples, cuts: list[int], options: SegmentOptions | None = None) -> list[SpeechEvent]:
    detector = SpeechDetector(LoudIsSpeech(), options)
    events: list[SpeechEvent] = []
    for start, end in pairwise(sorted({0, *cuts, len(samples)})):
        events += detector.push(AudioBlock(samples[start:end], start))
    assert detector.end_sample == len(samples)
    return events + detector.finish()


runs = st.lists(
    st.tuples(st.floats(0.01, 3.0), st.sampled_from((0.0, 0.3, 0.45, 0.6, 1.0))), min_size=1, max_size=9
)
options = st.builds(
    SegmentOptions,
    padding_before_s=st.sampled_from((0.0, 0.1, 0.3)),
    padding_after_s=st.sampled_from((0.0, 0.2, 0.6)),
    longest_segment_s=st.sampled_from((2.0, 14.0)),
    cut_search_s=st.sampled_from((0.5, 1.0)),
    shortest_cut_s=st.sampled_from((0.0, 0.5)),
)


@settings(deadline=None)
@given(runs=runs, cuts=st.lists(st.integers(1, 60_000), max_size=20), options=options)
def test_segments_do_not_depend_on_how_the_sound_was_cut_up(
    runs: list[tuple[float, float]], cuts: list[int], options: SegmentOptions
) -> None:
    samples = sound(*runs)
    whole = detect(samples, [], options)
    assert detect(samples, [cut for cut in cuts if cut < len(samples)], options) == whole
    check_segments(whole, samples, options)


def check_segments(events: list[SpeechEvent], samples: Samples, options: SegmentOptions) -> None:
    """They begin and end by turns, do not overlap, lie inside, are not too long, and have their own sound."""
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded] * (len(events) // 2)
    position = 0
    for started, ended in zip(events[::2], events[1::2], strict=True):
        assert isinstance(ended, SpeechEnded)
        assert position <= started.start_sample == ended.start_sample < ended.end_sample <= len(samples)
        assert ended.end_sample - ended.start_sample <= options.longest_segment_s * SECOND + FRAME_SAMPLES
        np.testing.assert_array_equal(ended.samples, samples[ended.start_sample : ended.end_sample])
        position = ended.end_sample


def test_speech_right_up_to_the_last_sample_is_kept_to_the_last_sample() -> None:
    samples = sound((1.0, 0.0), (0.5, 1.0))[: -SECOND // 100]  # not a whole number of frames
    [_, ended] = detect(samples, [])
    assert isinstance(ended, SpeechEnded)
    assert (ended.end_sample, ended.reason.value) == (len(samples), "end")


# --- sound that is missing -------------------------------------------------------------


def push_with_loss(lost_s: float) -> tuple[list[SpeechEvent], LoudIsSpeech]:
    model = LoudIsSpeech()
    detector = SpeechDetector(model)
    events = detector.push(AudioBlock(sound((1.0, 1.0)), 0))
    after = SECOND + round(lost_s * SECOND)
    events += detector.push(AudioBlock(sound((1.0, 1.0)), after, dropped_samples=after - SECOND))
    return events + detector.finish(), model


def spans(events: list[SpeechEvent]) -> list[tuple[float, float, str]]:
    ended = [event for event in events if isinstance(event, SpeechEnded)]
    return [(e.start_sample / SECOND, e.end_sample / SECOND, e.reason.value) for e in ended]


def test_a_short_loss_is_a_pause_in_the_segment() -> None:
    assert spans(push_with_loss(0.3)[0]) == [(0.0, 2.3, "end")]


def test_a_loss_as_long_as_a_pause_ends_the_segment_like_one() -> None:
    [first, second] = spans(push_with_loss(0.9)[0])
    assert first[2] == "silence"
    assert second[1:] == (2.9, "end")


def test_a_long_loss_ends_the_segment_there_and_the_model_begins_anew() -> None:
    events, model = push_with_loss(3_600.0)
    assert spans(events) == [(0.0, 1.0, "gap"), (3_601.0, 3_602.0, "end")]
    assert model.resets == 2


def test_blocks_out_of_order_or_at_another_rate_are_refused() -> None:
    detector = SpeechDetector(LoudIsSpeech())
    detector.push(AudioBlock(sound((0.1, 0.0)), 0))
    for block in (AudioBlock(sound((0.1, 0.0)), 1_599), AudioBlock(sound((0.1, 0.0)), 1_600, rate_hz=48_000)):
        with pytest.raises(ValueError, match="expected 16000 Hz, from 1600 on"):
            detector.push(block)


# --- the model's file ------------------------------------------------------------------


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.onnx: no such file"):
        SileroModel(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(10_000)])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileInvalid, match=r"bad\.onnx is not a model that onnxruntime can run"):
        SileroModel(path)


def onnx_copying(inputs: tuple[str, ...]) -> bytes:
    """An ONNX model that gives each input back under another name, in the protobuf wire format."""

    def field(number: int, value: bytes | str | int) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        data = value.encode() if isinstance(value, str) else value
        return bytes([number << 3 | 2, len(data) & 0x7F | 0x80, len(data) >> 7]) + data

    graph = field(2, "copies")
    floats = field(2, field(1, field(1, 1)))  # a tensor of 32-bit floats, of any shape
    for name in inputs:
        graph += field(1, field(1, name) + field(2, f"{name}_copy") + field(4, "Identity"))
        graph += field(11, field(1, name) + floats) + field(12, field(1, f"{name}_copy") + floats)
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 15))


@pytest.mark.parametrize("inputs", [("mel",), ("input", "state")], ids="+".join)
def test_another_model_is_named_as_such(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(onnx_copying(inputs))
    with pytest.raises(ModelUnsupported, match=r"other\.onnx is not a Silero VAD of version 5 or 6: \S"):
        SileroModel(path)


def test_without_onnxruntime_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineUnavailable, match="onnxruntime does not load") as caught:
        SileroModel(tmp_path / "any.onnx")
    assert 'pip install "edge-runtime[speech]"' in caught.value.hint
