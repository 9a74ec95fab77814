"""Sources of sound that are taken, and those that are refused."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.sounds import as_int16, joined, sine, wav_bytes

from edge_runtime.errors import AudioFormatUnsupported, EdgeRuntimeError, OptionInvalid
from edge_runtime.speech.audio import PcmStream
from edge_runtime.speech.source import open_source

TONE = sine(1.0, 16_000)
WAV = wav_bytes(as_int16(TONE), 16_000)


def read(source: Any, **how: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    return joined(list(open_source(source, **how)))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: TONE, id="floats"),
        pytest.param(lambda: TONE.astype(np.float64), id="wide floats"),
        pytest.param(lambda: as_int16(TONE), id="integers"),
        pytest.param(lambda: TONE * 32768, id="floats on the scale of integers"),
        pytest.param(lambda: np.stack((TONE, TONE), axis=1), id="(n, channels)"),
        pytest.param(lambda: np.stack((TONE, TONE)), id="(channels, n)"),
        pytest.param(lambda: io.BytesIO(WAV), id="a file in memory"),
    ],
)
def test_arrays_and_open_files_are_heard(make: Callable[[], Any]) -> None:
    np.testing.assert_allclose(read(make()), TONE, atol=2e-4)


def test_an_array_has_a_rate() -> None:
    found = read(sine(1.0, 48_000), rate_hz=48_000)
    assert len(found) == 16_000
    assert open_source(sine(1.0, 48_000), rate_hz=48_000).duration_s == 1.0


def test_an_open_file_is_read_from_its_start_and_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(WAV)
    with path.open("rb") as file:
        file.read(100)
        source = open_source(file)
        assert len(joined(list(source))) == len(joined(list(source))) == 16_000
        assert not file.closed


@pytest.mark.parametrize("data", [WAV, as_int16(TONE).tobytes()], ids=["file", "samples"])
def test_what_cannot_seek_is_read_as_it_comes(data: bytes) -> None:
    reading, writing = os.pipe()
    threading.Thread(target=lambda: (os.write(writing, data), os.close(writing))).start()
    with open(reading, "rb") as stream:  # noqa: PTH123
        source = open_source(stream)
        assert isinstance(source, PcmStream)
        np.testing.assert_allclose(joined(list(source)), TONE, atol=2e-4)


def test_a_pipe_with_a_name_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(WAV,)).start()
    assert len(read(path)) == 16_000


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(None, id="None"),
        pytest.param(b"RIFF", id="bytes"),
        pytest.param(7, id="a number"),
        pytest.param([0.0, 1.0], id="a list"),
        pytest.param(io.StringIO("text"), id="text"),
        pytest.param(np.zeros((2, 2, 2), np.float32), id="three axes"),
        pytest.param(np.zeros(0, np.float32), id="nothing"),
        pytest.param(np.zeros(9, complex), id="complex"),
    ],
)
def test_what_is_no_source_is_refused_with_what_would_be(source: Any) -> None:
    with pytest.raises(OptionInvalid, match=r"^source: ") as caught:
        open_source(source)
    assert caught.value.hint


def test_an_open_file_that_is_no_sound_says_so() -> None:
    with pytest.raises(AudioFormatUnsupported, match="not a sound file"):
        open_source(io.BytesIO(b"Dear diary"))


@pytest.mark.parametrize("how", [{"rate_hz": 0}, {"rate_hz": -5}, {"rate_hz": 1.5}, {"channels": 0}])
def test_absurd_rates_and_channels_are_refused(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"abcd")))
    with pytest.raises(EdgeRuntimeError, match=next(iter(how))):
        open_source("-", **how)  # type: ignore[arg-type]
