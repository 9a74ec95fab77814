"""Channels mixed to one: phase, silence, clicks, and floats on another scale."""

from __future__ import annotations

import numpy as np
import pytest
from support.sounds import sine

from edge_runtime.speech.audio import Samples
from edge_runtime.speech.audio.mono import MonoMixer

RATE_HZ = 16_000


def mixed(*channels: Samples, piece: int = 1_600) -> Samples:
    frames, mixer = np.stack(channels, axis=1), MonoMixer()
    pieces = [mixer.mix(frames[start : start + piece], RATE_HZ) for start in range(0, len(frames), piece)]
    return np.concatenate(pieces)


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def test_channels_that_agree_give_their_mean(rng: np.random.Generator) -> None:
    left, right = rng.normal(0, 0.1, (2, 16_000)).astype(np.float32)
    np.testing.assert_array_equal(mixed(left, right), np.stack((left, right), axis=1).mean(axis=1))


@pytest.mark.parametrize("piece", [400, 1_600, 16_000])
@pytest.mark.parametrize("gain", [-1.0, -0.9])
def test_channels_in_opposite_phase_are_heard(piece: int, gain: float) -> None:
    tone = sine(2.0, RATE_HZ)
    found = mixed(tone, np.float32(gain) * tone, piece=piece)
    np.testing.assert_allclose(np.abs(found), np.abs(tone) * (1 - gain) / 2, atol=1e-5)


def test_a_phase_that_turns_in_the_middle_neither_silences_nor_clicks() -> None:
    tone = sine(4.0, RATE_HZ)
    turned = np.concatenate((tone[:32_000], -tone[32_000:]))
    found = mixed(tone, turned)
    assert rms(found[:30_000]) == pytest.approx(rms(tone), rel=0.01)
    assert rms(found[48_000:]) == pytest.approx(rms(tone), rel=0.01)  # a second later at the latest
    steepest = np.abs(np.diff(tone)).max()
    assert np.abs(np.diff(found[:31_990])).max() <= 1.01 * steepest
    assert np.abs(np.diff(found[32_010:])).max() <= 1.2 * steepest


def test_a_voice_in_one_channel_is_no_reason_to_turn_it(rng: np.random.Generator) -> None:
    voice = sine(1.0, RATE_HZ)
    noise = rng.normal(0, 1e-3, 16_000).astype(np.float32)
    np.testing.assert_allclose(mixed(voice, noise), (voice + noise) / 2, atol=1e-6)


def test_six_channels_of_which_two_cancel() -> None:
    tone = sine(1.0, RATE_HZ)
    silent = np.zeros_like(tone)
    found = mixed(tone, -tone, silent, silent, silent, silent)
    assert rms(found) == pytest.approx(rms(tone) / 3, rel=0.01)


@pytest.mark.parametrize("scale", [2**15, 2**23, 2**31])
def test_floats_on_the_scale_of_integers_are_divided_down(scale: int) -> None:
    tone = sine(1.0, RATE_HZ)
    np.testing.assert_allclose(mixed(tone * np.float32(scale)), tone, atol=1e-4)


def test_a_few_wild_numbers_do_not_silence_the_rest() -> None:
    tone = sine(1.0, RATE_HZ)
    tone[::500] = 1e6
    found = mixed(tone)
    assert rms(np.delete(found, np.s_[::500])) == pytest.approx(rms(sine(1.0, RATE_HZ)), rel=0.01)
