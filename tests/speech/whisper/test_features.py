"""Log-mel features against a slow and obvious calculation of the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.speech.whisper.features import MOST_FRAMES, LogMel, frame_count, mel_filters

RATE_HZ = 16_000


def tones(seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Two rising tones and a little noise: loud and silent bands in each frame."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = 0.4 * np.sin(2 * np.pi * (300 + 400 * t) * t) + 0.05 * np.sin(2 * np.pi * 3100 * t)
    return (sound + 0.001 * rng.standard_normal(len(t))).astype(np.float32)


def slow_features(samples: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    """(80, frames), from the definitions, in float64: a DFT as a matrix, mel filters one by one."""
    sound = np.zeros(frames * 160)
    sound[: len(samples)] = samples
    sound = np.concatenate((sound[200:0:-1], sound, sound[-2:-202:-1]))
    n = np.arange(400)
    hann = np.sin(np.pi * n / 400) ** 2
    waves = np.exp(-2j * np.pi * np.outer(np.arange(201), n) / 400)
    windows = np.stack([sound[160 * i : 160 * i + 400] * hann for i in range(frames)], axis=1)
    logs = np.log10(np.maximum(slow_filters() @ np.abs(waves @ windows) ** 2, 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def slow_filters() -> NDArray[np.float64]:
    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    highest = 15 + 27 * math.log(8) / math.log(6.4)  # 8000 Hz
    edges = [hertz(highest * i / 81) for i in range(82)]
    filters = np.zeros((80, 201))
    for i in range(80):
        low, middle, high = edges[i : i + 3]
        for k in range(201):
            hz = 40.0 * k
            if low < hz <= middle:
                filters[i, k] = (hz - low) / (middle - low)
            elif middle < hz < high:
                filters[i, k] = (high - hz) / (high - middle)
        filters[i] *= 2 / (high - low)
    return filters


def test_features_are_the_definition_s(rng: np.random.Generator) -> None:
    samples = tones(1.234, rng)
    found = LogMel(80).features(samples, 200)
    assert found.shape == (1, 80, 200)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], slow_features(samples, 200), atol=1e-4)


def test_sound_up_to_the_context_s_end_is_mirrored_there(rng: np.random.Generator) -> None:
    samples = tones(1.0, rng)
    np.testing.assert_allclose(LogMel(80).features(samples, 100)[0], slow_features(samples, 100), atol=1e-4)


def test_filters_are_slaney_s() -> None:
    np.testing.assert_allclose(mel_filters(80).T, slow_filters(), atol=1e-7)
    assert mel_filters(128).shape == (201, 128)


@pytest.mark.parametrize(
    "steps", [[16_000, 17_000, 32_000, 32_001], [199, 200, 201, 359, 361, 5_000], [0, 1, 48_000]]
)
def test_a_growing_piece_has_the_features_of_a_fresh_one(rng: np.random.Generator, steps: list[int]) -> None:
    samples = tones(3.0, rng)
    samples[4_000:9_000] *= 30  # the loudest, which bounds everything else, comes late
    growing = LogMel(80)
    for count in steps:
        frames = frame_count(count) + 37
        found = growing.features(samples[:count], frames)
        np.testing.assert_array_equal(found, LogMel(80).features(samples[:count], frames))


def test_another_piece_owes_nothing_to_the_one_before(rng: np.random.Generator) -> None:
    one, other = tones(2.0, rng), tones(2.0, rng)[::-1].copy()
    mel = LogMel(80)
    mel.features(one, 300)
    np.testing.assert_array_equal(mel.features(other, 300), LogMel(80).features(other, 300))
    shorter = other[:9_000]
    np.testing.assert_array_equal(mel.features(shorter, 300), LogMel(80).features(shorter, 300))


def test_only_new_frames_are_calculated(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, counted = tones(10.0, rng), []
    real = np.fft.rfft

    def counting(windows: NDArray[np.float32], axis: int) -> NDArray[np.complex64]:
        counted.append(len(windows))
        return real(windows, axis=axis)

    monkeypatch.setattr(np.fft, "rfft", counting)
    mel = LogMel(80)
    totals = []
    for piece, frames in ((samples[: 9 * RATE_HZ], 1200), (samples, 1200), (samples, MOST_FRAMES)):
        mel.features(piece, frames)  # the last is a second try
        totals.append(sum(counted))
        counted.clear()
    assert totals[0] > 900
    assert totals[1] < 105
    assert totals[2] < 5


def test_silence_is_flat() -> None:
    found = LogMel(80).features(np.zeros(16_000, np.float32), 1000)
    np.testing.assert_allclose(found, -1.5, atol=1e-6)
    assert LogMel(80).features(np.zeros(0, np.float32), 50).shape == (1, 80, 50)
