"""Raw samples on standard input."""

from __future__ import annotations

import io
import os
import pty
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.sounds import as_int16, joined, sine, write_sound

from edge_runtime.errors import AudioFormatUnsupported, OptionInvalid
from edge_runtime.speech.audio import AudioBlock, PcmFormat, PcmStream
from edge_runtime.speech.audio.containers import MOST_HEAD_BYTES, container_kind


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
def test_a_stream_without_a_sample_is_an_error(data: bytes) -> None:
    with pytest.raises(AudioFormatUnsupported, match=f"no sound: it ended after {len(data)} bytes"):
        list(PcmStream(io.BytesIO(data)))


def test_the_null_device_has_no_sound() -> None:
    with open(os.devnull, "rb") as stream, pytest.raises(AudioFormatUnsupported, match="no sound"):  # noqa: PTH123
        list(PcmStream(stream))


def test_a_stream_that_is_stopped_before_anything_came_is_none() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb"):  # noqa: PTH123
        source = PcmStream(stream)
        source.stop()
        assert list(source) == []


def test_stopping_an_idle_pipe_ends_it_and_keeps_what_came() -> None:
    """It would hang here if the thread waited where nothing can wake it."""
    reading, writing = os.pipe()
    blocks: list[AudioBlock] = []
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        source = PcmStream(stream)
        thread = threading.Thread(target=lambda: blocks.extend(source), daemon=True)
        thread.start()
        pipe.write(as_int16(sine(0.25, 16_000)).tobytes())
        time.sleep(0.3)
        source.stop()
        thread.join(timeout=5.0)
        assert not thread.is_alive()
    assert len(joined(blocks)) == 4_000


def test_a_block_is_there_before_the_pipe_is_full_or_closed() -> None:
    """It would hang here if it waited for more than a block."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        pipe.write(as_int16(sine(0.1, 16_000)).tobytes())
        assert len(next(iter(PcmStream(stream))).samples) == 1_600


def test_samples_that_are_no_numbers_do_not_get_through() -> None:
    data = np.array([np.nan, np.inf, 0.5], "<f4").tobytes()
    assert joined(list(PcmStream(io.BytesIO(data), format=PcmFormat.F32LE))).tolist() == [0.0, 1.0, 0.5]


KINDS = {
    "wav": "pcm_s16le",
    "flac": "flac",
    "m4a": "aac",
    "webm": "libopus",
    "ogg": "libopus",
    "aiff": "pcm_s16be",
    "au": "pcm_s16be",
    "aac": "aac",
    "mp3": "libmp3lame",
    "caf": "pcm_s16be",
    "w64": "pcm_s16le",
}


@pytest.mark.parametrize("through_pipe", [False, True], ids=["memory", "pipe"])
@pytest.mark.parametrize("ending", KINDS)
def test_a_sound_file_in_place_of_samples_is_read(ending: str, through_pipe: bool, tmp_path: Path) -> None:
    path = write_sound(tmp_path / f"tone.{ending}", sine(2.0, 48_000), 48_000, KINDS[ending])
    data = path.read_bytes()
    stream = Dribble(data) if through_pipe else io.BytesIO(data)
    found = joined(list(PcmStream(stream)))  # type: ignore[arg-type]
    assert len(found) == pytest.approx(32_000, abs=1_600)
    assert np.abs(np.fft.rfft(found[8_000:24_000])).argmax() == pytest.approx(440, abs=1)


def test_an_mp3_without_any_tag_is_read(tmp_path: Path) -> None:
    data = write_sound(tmp_path / "tone.mp3", sine(2.0, 16_000), 16_000, "libmp3lame").read_bytes()
    frames = data[data.index(b"Info") :]
    begin = next(n for n in range(len(frames)) if container_kind(frames[n : n + MOST_HEAD_BYTES]) == "MP3")
    found = joined(list(PcmStream(io.BytesIO(frames[begin:]))))
    assert len(found) == pytest.approx(32_000, abs=3_200)


def test_a_damaged_file_on_standard_input_is_called_that() -> None:
    with pytest.raises(AudioFormatUnsupported, match=r"standard input: not .*begins with b'fLaC"):
        list(PcmStream(io.BytesIO(b"fLaC" + bytes(100))))


def test_samples_are_not_taken_for_a_file(rng: np.random.Generator) -> None:
    """The likeliest confusion: a sample of -1 and small ones, as the mark of a frame has them."""
    for _ in range(300):
        samples = rng.integers(-32768, 32768, 4_096).astype("<i2")
        samples[0] = rng.integers(-6, 0) * 256 - 1
        assert container_kind(samples.tobytes()) is None


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
