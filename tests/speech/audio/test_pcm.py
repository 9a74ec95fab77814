"""Raw samples on standard input."""

from __future__ import annotations

import io
import os
import pty

import numpy as np
import pytest
from support.sounds import as_int16, joined, sine, wav_bytes

from edge_runtime.errors import AudioFormatUnsupported, OptionInvalid
from edge_runtime.speech.audio import PcmFormat, PcmStream


def test_16_bit_samples_are_read_as_they_are() -> None:
    samples = as_int16(sine(1.03, 16_000))
    blocks = list(PcmStream(io.BytesIO(samples.tobytes())))
    np.testing.assert_array_equal(joined(blocks), samples / np.float32(32768))
    assert [len(block.samples) for block in blocks] == [1600] * 10 + [480]


def test_float_stereo_at_48_khz_becomes_mono_at_16() -> None:
    left, right = sine(0.5, 48_000), np.zeros(24_000, np.float32)
    data = np.stack((left, right), axis=1).tobytes()
    found = joined(list(PcmStream(io.BytesIO(data), format=PcmFormat.F32LE, rate_hz=48_000, channels=2)))
    np.testing.assert_allclose(found[800:-800], sine(0.5, 16_000)[800:-800] / 2, atol=2e-3)


class Dribble(io.RawIOBase):
    """A pipe that gives a few bytes at a time, and never whole samples."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 7))


@pytest.mark.parametrize("extra", [b"", b"\x01", b"\x01\x02\x03"])
def test_bytes_that_make_no_whole_frame_are_left_out_and_counted(extra: bytes) -> None:
    samples = as_int16(sine(0.05, 16_000)).reshape(-1, 2)  # as if stereo
    source = PcmStream(Dribble(samples.tobytes() + extra), channels=2)  # type: ignore[arg-type]
    expected = samples.mean(axis=1, dtype=np.float32) / 32768
    np.testing.assert_allclose(joined(list(source)), expected, atol=1e-7)
    assert source.leftover_bytes == len(extra)


@pytest.mark.parametrize("data", [b"", b"\x01"])
def test_a_stream_without_a_sample_has_no_blocks(data: bytes) -> None:
    assert list(PcmStream(io.BytesIO(data))) == []


def test_a_block_is_there_before_the_pipe_is_full_or_closed() -> None:
    """It would hang here if it waited for more than a block."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        pipe.write(as_int16(sine(0.1, 16_000)).tobytes())
        assert len(next(iter(PcmStream(stream))).samples) == 1_600


def test_samples_that_are_no_numbers_do_not_get_through() -> None:
    data = np.array([np.nan, np.inf, 0.5], "<f4").tobytes()
    assert joined(list(PcmStream(io.BytesIO(data), format=PcmFormat.F32LE))).tolist() == [0.0, 1.0, 0.5]


def test_a_sound_file_in_place_of_samples_is_noticed() -> None:
    with pytest.raises(AudioFormatUnsupported, match="begins like a WAV file") as caught:
        list(PcmStream(Dribble(wav_bytes(as_int16(sine(0.1, 16_000)), 16_000))))  # type: ignore[arg-type]
    assert "give the file's name" in caught.value.hint


def test_a_terminal_is_no_source_of_sound() -> None:
    outer, inner = pty.openpty()
    try:
        with (
            open(inner, "rb", buffering=0, closefd=False) as terminal,
            pytest.raises(AudioFormatUnsupported, match="standard input is a terminal"),
        ):
            PcmStream(terminal)  # type: ignore[arg-type]
    finally:
        os.close(outer)
        os.close(inner)


@pytest.mark.parametrize("channels", [0, -1, 65])
def test_absurd_channel_counts_are_refused(channels: int) -> None:
    with pytest.raises(OptionInvalid, match=f"channels: {channels} is not a whole number from 1 to 64"):
        PcmStream(io.BytesIO(), channels=channels)
