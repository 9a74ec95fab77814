"""The gain before the voice detector: what it raises, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.speech.audio import Samples
from edge_runtime.speech.vad.gain import QuietGain

FRAME = 512
SECOND = 16_000 // FRAME


def noise(seconds: float, db: float, seed: int = 0) -> Samples:
    """(frames, 512), RMS in dB of full scale."""
    values = np.random.default_rng(seed).standard_normal((round(seconds * SECOND), FRAME))
    return (values * 10 ** (db / 20)).astype(np.float32)


def level_db(frames: Samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(frames, dtype=np.float64)))))


def test_sound_of_the_usual_level_is_not_touched() -> None:
    frames = noise(3.0, -35.0)
    assert QuietGain().apply(frames) is frames


@pytest.mark.parametrize(("db", "raised_db"), [(-50.0, -30.0), (-65.0, -30.0), (-80.0, -40.0)])
def test_quiet_sound_is_raised_but_not_without_end(db: float, raised_db: float) -> None:
    assert level_db(QuietGain().apply(noise(5.0, db))) == pytest.approx(raised_db, abs=1.5)


def test_silence_stays_silence() -> None:
    assert not QuietGain().apply(np.zeros((10, FRAME), np.float32)).any()


def test_pauses_between_loud_sentences_are_not_raised() -> None:
    gain = QuietGain()
    gain.apply(noise(3.0, -20.0))
    pause = noise(20.0, -70.0)
    np.testing.assert_array_equal(gain.apply(pause), pause)


def test_what_becomes_loud_is_not_raised_any_more() -> None:
    gain = QuietGain()
    gain.apply(noise(3.0, -70.0))
    loud = noise(1.0, -15.0)
    np.testing.assert_array_equal(gain.apply(loud), loud)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_how_the_frames_come_makes_no_difference(step: int) -> None:
    frames = np.concatenate((noise(2.0, -60.0), noise(1.0, -45.0), noise(2.0, -60.0)))
    gain = QuietGain()
    pieces = [gain.apply(frames[start : start + step]) for start in range(0, len(frames), step)]
    np.testing.assert_array_equal(np.concatenate(pieces), QuietGain().apply(frames))
