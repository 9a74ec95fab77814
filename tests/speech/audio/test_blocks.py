"""Samples of any width and rate become blocks at 16 kHz, to the sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sounds import joined, sine

import edge_runtime
from edge_runtime.errors import AudioFormatUnsupported
from edge_runtime.speech.audio import Resampler, SpeechBlocks, mix_to_mono
from edge_runtime.speech.audio.block import as_float


def test_mono_is_the_mean_of_the_channels() -> None:
    frames = np.array([[1.0, -1.0], [0.5, 0.25]], np.float32)
    assert mix_to_mono(frames).tolist() == [0.0, 0.375]
    assert mix_to_mono(frames[:, :1]).tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([0, 128, 255], np.uint8), [-1.0, 0.0, 127 / 128], id="8 bits"),
        pytest.param(np.array([-32768, 0, 16384], np.int16), [-1.0, 0.0, 0.5], id="16 bits"),
        pytest.param(np.array([-(2**31), 2**30], np.int32), [-1.0, 0.5], id="32 bits"),
        pytest.param(np.array([0.25, -3.0], np.float64), [0.25, -3.0], id="floats"),
        pytest.param(np.array([np.nan, np.inf, -np.inf], np.float32), [0.0, 1.0, -1.0], id="no numbers"),
    ],
)
def test_samples_of_every_width_become_floats(
    values: np.ndarray[tuple[int], np.dtype[np.generic]], expected: list[float]
) -> None:
    converted = as_float(values)
    assert converted.dtype == np.float32
    assert converted.tolist() == expected


@settings(deadline=None)
@given(
    rate_hz=st.sampled_from((8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)),
    count=st.integers(0, 9_000),
    cuts=st.lists(st.integers(0, 9_000), max_size=12),
)
def test_blocks_are_the_same_however_the_sound_arrives(rate_hz: int, count: int, cuts: list[int]) -> None:
    sound = np.random.default_rng(count).uniform(-0.5, 0.5, count).astype(np.float32)
    whole = SpeechBlocks(block_ms=20)
    expected = joined([*whole.push(sound, rate_hz), *whole.finish()])
    cut = SpeechBlocks(block_ms=20)
    blocks = [block for piece in np.split(sound, sorted(cuts)) for block in cut.push(piece, rate_hz)]
    blocks += cut.finish()
    assert {len(block.samples) for block in blocks[:-1]} <= {320}
    assert len(expected) == (2 * count * 16_000 + rate_hz) // (2 * rate_hz)  # rounded, halves up
    np.testing.assert_allclose(joined(blocks), expected, atol=1e-6)


def test_a_tone_stays_itself_and_what_cannot_be_told_apart_from_it_goes() -> None:
    """440 Hz passes; 15 kHz would come back as 1 kHz if samples were only left out."""
    blocks = SpeechBlocks()
    found = joined(
        blocks.push(sine(1.0, 48_000) + sine(1.0, 48_000, 15_000.0, 0.4), 48_000) + blocks.finish()
    )
    np.testing.assert_allclose(found[800:-800], sine(1.0, 16_000)[800:-800], atol=2e-3)


def test_no_more_than_an_eighth_of_a_second_is_held_back() -> None:
    for rate_hz in (8_000, 44_100, 48_000):
        resampler = Resampler(rate_hz)
        given_s = ready_s = 0.0
        for _ in range(200):
            given_s += 0.01
            ready_s += len(resampler.push(sine(0.01, rate_hz))) / 16_000
            assert given_s - ready_s < 0.125


def test_a_resampler_can_be_used_again_after_its_end() -> None:
    resampler = Resampler(48_000)
    rounds = [np.concatenate((resampler.push(sine(0.1, 48_000)), resampler.finish())) for _ in range(2)]
    assert [len(samples) for samples in rounds] == [1_600, 1_600]
    np.testing.assert_array_equal(rounds[0], rounds[1])


def test_a_loss_is_told_once_and_moves_everything_behind_it() -> None:
    blocks = SpeechBlocks(block_ms=100)
    found = blocks.push(sine(0.25, 48_000), 48_000)
    found += blocks.push(sine(0.1, 48_000), 48_000, lost_before=24_000)
    found += blocks.finish()
    positions = [(block.start_sample, len(block.samples), block.dropped_samples) for block in found]
    assert positions == [(0, 1600, 0), (1600, 1600, 0), (3200, 800, 0), (12_000, 1600, 8_000)]


def test_the_rate_may_change_on_the_way() -> None:
    blocks = SpeechBlocks(block_ms=100)
    found = blocks.push(sine(0.5, 48_000), 48_000) + blocks.push(sine(0.5, 8_000), 8_000) + blocks.finish()
    assert len(joined(found)) == 16_000


@pytest.mark.parametrize("rate_hz", [0, 1, 1_999, 768_001, 2**32 - 1])
def test_absurd_rates_are_refused(rate_hz: int) -> None:
    with pytest.raises(AudioFormatUnsupported, match=f"{rate_hz} Hz is not between 2000 and 768000"):
        Resampler(rate_hz)


def test_without_soxr_sound_at_16_khz_works_and_other_rates_name_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    blocks = SpeechBlocks()
    assert len(joined(blocks.push(sine(0.5, 16_000), 16_000) + blocks.finish())) == 8_000
    with pytest.raises(AudioFormatUnsupported, match="48000 Hz needs the package soxr") as caught:
        blocks.push(sine(0.1, 48_000), 48_000)
    assert 'pip install "edge-runtime[speech]"' in caught.value.hint


def test_importing_audio_and_vad_loads_none_of_their_libraries() -> None:
    code = (
        "import sys, edge_runtime.speech.audio, edge_runtime.speech.vad\n"
        "print([name for name in ('av', 'soxr', 'sounddevice', 'onnxruntime') if name in sys.modules])"
    )
    folder = Path(edge_runtime.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True
    )
    assert done.stdout.strip() == "[]"
