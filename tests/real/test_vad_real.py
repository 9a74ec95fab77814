"""The real Silero network on sound that is made here: a made-up voice, silence, noise, hum."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.sounds import babble

from edge_runtime.catalog.store import model_folder
from edge_runtime.speech.audio import AudioBlock, Samples
from edge_runtime.speech.vad import SileroModel, SpeechDetector, SpeechEnded, SpeechEvent

# Now, while HOME is still the user's.
_FOUND = sorted(model_folder("silero-vad").rglob("*.onnx"))
SECOND = 16_000


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    if not _FOUND:
        pytest.skip("no Silero here: edge-runtime models pull silero-vad")
    return SileroModel(_FOUND[0])


def detect(model: SileroModel, samples: Samples, block_samples: int = 1_600) -> list[SpeechEnded]:
    detector = SpeechDetector(model)
    events: list[SpeechEvent] = []
    for start in range(0, len(samples), block_samples):
        events += detector.push(AudioBlock(samples[start : start + block_samples], start))
    events += detector.finish()
    return [event for event in events if isinstance(event, SpeechEnded)]


def silence(duration_s: float) -> Samples:
    return np.zeros(round(duration_s * SECOND), np.float32)


def without_speech(kind: str) -> Samples:
    """60 s."""
    rng, times_s = np.random.default_rng(7), np.arange(60 * SECOND) / SECOND
    hum = sum(np.sin(2 * np.pi * 50 * k * times_s) / k for k in range(1, 9))
    sounds = {
        "silence": 0 * times_s,
        "white noise": rng.normal(0, 0.1, len(times_s)),
        "faint noise": rng.normal(0, 0.001, len(times_s)),
        "brown noise": np.cumsum(rng.normal(0, 0.002, len(times_s))),
        "hum": 0.1 * hum,
        "beeps": 0.3 * np.sin(2 * np.pi * 1_000 * times_s) * (times_s % 1 < 0.3),
        "clicks": 0.8 * (np.arange(len(times_s)) % 8_000 < 3),
    }
    return np.clip(sounds[kind], -1, 1).astype(np.float32)


@pytest.mark.parametrize(
    "kind", ["silence", "white noise", "faint noise", "brown noise", "hum", "beeps", "clicks"]
)
def test_a_minute_without_speech_has_no_segment(silero: SileroModel, kind: str) -> None:
    assert detect(silero, without_speech(kind)) == []


@pytest.mark.parametrize("level_db", [-50, -70])
@pytest.mark.parametrize("kind", ["white noise", "brown noise", "hum", "beeps", "clicks"])
def test_a_quiet_minute_without_speech_has_no_segment(silero: SileroModel, kind: str, level_db: int) -> None:
    assert detect(silero, without_speech(kind) * np.float32(10 ** (level_db / 20))) == []


@pytest.mark.parametrize("level_db", [-20, -40, -60])
def test_quiet_phrases_are_found_where_loud_ones_are(silero: SileroModel, level_db: int) -> None:
    clip = np.concatenate([silence(2), babble(3, seed=1), silence(1.5), babble(2, seed=2), silence(2)])
    loud, quiet = detect(silero, clip), detect(silero, clip * np.float32(10 ** (level_db / 20)))
    assert len(quiet) == 2
    for one, other in zip(loud, quiet, strict=True):
        assert abs(one.start_sample - other.start_sample) < 0.2 * SECOND
        assert abs(one.end_sample - other.end_sample) < 0.2 * SECOND


def test_phrases_are_found_where_they_are(silero: SileroModel) -> None:
    parts = [silence(2), babble(3, seed=1), silence(1.5), babble(2, seed=2), silence(2)]
    first, second = detect(silero, np.concatenate(parts))
    for segment, start_s, end_s in ((first, 2.0, 5.0), (second, 6.5, 8.5)):
        assert start_s - 0.4 < segment.start_sample / SECOND <= start_s + 0.1
        assert end_s - 0.1 < segment.end_sample / SECOND < end_s + 0.4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_speech_that_ends_with_the_clip_is_kept_to_its_end(silero: SileroModel, seed: int) -> None:
    clip = np.concatenate((silence(1), babble(1.23, seed)))
    [segment] = detect(silero, clip)
    assert segment.end_sample == len(clip)


@pytest.mark.parametrize("level", [0.0, 0.002])
def test_speech_after_three_minutes_of_nothing_is_found(silero: SileroModel, level: float) -> None:
    nothing = np.random.default_rng(3).normal(0, 1, 180 * SECOND).astype(np.float32) * np.float32(level)
    [segment] = detect(silero, np.concatenate((nothing, babble(2), silence(1))), SECOND)
    assert 179.5 < segment.start_sample / SECOND <= 180.1


def test_minutes_of_speech_without_a_pause_come_in_pieces_that_join(silero: SileroModel) -> None:
    clip = babble(60)
    segments = detect(silero, clip)
    assert len(segments) >= 5
    assert all(len(segment.samples) <= 14.1 * SECOND for segment in segments)
    gaps = [after.start_sample - before.end_sample for before, after in pairwise(segments)]
    assert sum(gaps) < 0.02 * len(clip)


@pytest.mark.parametrize("block_samples", [160, 512, 3_333, 160_000])
def test_blocks_of_any_length_give_the_same_segments(silero: SileroModel, block_samples: int) -> None:
    clip = np.concatenate((silence(0.7), babble(4, seed=5), silence(1), babble(2, seed=6)))
    assert detect(silero, clip, block_samples) == detect(silero, clip, 512)


@pytest.mark.parametrize("path", _FOUND, ids=lambda path: path.name)
def test_every_file_of_the_network_says_the_same(path: Path, silero: SileroModel) -> None:
    clip = np.concatenate((silence(0.5), babble(3, seed=9), silence(0.5)))
    frames = clip[: len(clip) // 512 * 512].reshape(-1, 512)
    silero.reset()
    expected = silero.probabilities(frames)
    np.testing.assert_allclose(SileroModel(path).probabilities(frames), expected, atol=1e-5)
    assert expected[:10].max() < 0.3 < 0.9 < expected[30:100].mean()
