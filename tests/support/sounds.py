"""Sounds for the tests, and files of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.speech.audio import AudioBlock, Samples


def sine(duration_s: float, rate_hz: int, frequency_hz: float = 440.0, level: float = 0.5) -> Samples:
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


# The first three resonances of a man's vowels in "father", "heed", "who'd", "head" and "hawed", in Hz.
# Source: Peterson and Barney, Control Methods Used in a Study of the Vowels, 1952.
_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
_BANDWIDTHS_HZ = (80, 90, 120)


def babble(duration_s: float, seed: int = 0) -> Samples:
    """Syllables of a made-up voice at 16 kHz: no words, but Silero takes it for speech."""
    rng = np.random.default_rng(seed)
    pieces = [np.zeros(0)]
    while sum(map(len, pieces)) < duration_s * 16_000:
        pieces.append(_syllable(rng, round(rng.uniform(0.12, 0.28) * 16_000)))
        pieces.append(rng.normal(0, 0.01, round(rng.uniform(0.03, 0.07) * 16_000)))
    return np.concatenate(pieces)[: round(duration_s * 16_000)].astype(np.float32)


def _syllable(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Pulses of the vocal folds through resonances that glide from one vowel to another."""
    turns = np.cumsum(rng.uniform(100, 140) * np.linspace(1.1, 0.9, count)) / 16_000
    sound = np.diff(np.floor(turns), prepend=0.0) + rng.normal(0, 0.02, count)
    start, end = (np.array(_VOWELS_HZ[rng.integers(len(_VOWELS_HZ))]) for _ in range(2))
    for resonance, bandwidth_hz in enumerate(_BANDWIDTHS_HZ):
        frequencies_hz = np.linspace(start[resonance], end[resonance], count)
        sound = _resonate(sound, frequencies_hz, bandwidth_hz)
    sound *= np.sqrt(np.hanning(count))
    return 0.3 * sound / np.abs(sound).max()


def _resonate(
    sound: NDArray[np.float64], frequencies_hz: NDArray[np.float64], bandwidth_hz: float
) -> NDArray[np.float64]:
    """A second-order resonator whose frequency changes with every sample."""
    decay = np.exp(-np.pi * bandwidth_hz / 16_000)
    turns = (2 * decay * np.cos(2 * np.pi * frequencies_hz / 16_000)).tolist()
    out, before, last = [], 0.0, 0.0
    for value, turn in zip(sound.tolist(), turns, strict=True):
        before, last = last, value + turn * last - decay * decay * before
        out.append(last)
    return np.array(out)


def joined(blocks: Sequence[AudioBlock]) -> Samples:
    """All samples; checks that each block begins where the last one ended, or says what was lost."""
    position = 0
    for block in blocks:
        assert block.start_sample == position + block.dropped_samples
        assert block.samples.dtype == np.float32
        assert block.rate_hz == 16_000
        position = block.end_sample
    return np.concatenate([np.zeros(0, np.float32), *(block.samples for block in blocks)])


def wav_bytes(
    samples: NDArray[np.generic], rate_hz: int, *, data_bytes: int | None = None, before: bytes = b""
) -> bytes:
    """(n,) or (n, channels), int16 or float32. `data_bytes`: what it claims; `before`: other chunks."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    width = samples.dtype.itemsize
    tag = 3 if samples.dtype.kind == "f" else 1
    data = samples.tobytes()
    format_chunk = struct.pack(
        "<4sIHHIIHH",
        b"fmt ",
        16,
        tag,
        channels,
        rate_hz,
        rate_hz * channels * width,
        channels * width,
        8 * width,
    )
    claimed = len(data) if data_bytes is None else data_bytes
    body = b"WAVE" + before + format_chunk + struct.pack("<4sI", b"data", claimed) + data
    return struct.pack("<4sI", b"RIFF", min(len(body), 2**32 - 1)) + body


def as_int16(samples: Samples) -> NDArray[np.int16]:
    return (samples * 32767).round().astype(np.int16)


def write_sound(
    path: Path, samples: Samples, rate_hz: int, codec: str, *, hole: tuple[float, float] = (0.0, 0.0)
) -> Path:
    """(n,) or (n, channels), encoded as the file's ending and the codec say, by PyAV.

    `hole`: (from when on, how much later) time stamps are, in seconds.
    """
    import av

    hole_start, hole_samples = (round(seconds * rate_hz) for seconds in hole)
    frames = samples if samples.ndim == 2 else samples[:, None]
    layout = {1: "mono", 2: "stereo"}[frames.shape[1]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        packed = as_int16(np.ascontiguousarray(frames)).reshape(1, -1)
        for start in range(0, packed.shape[1], 4096):
            frame = av.AudioFrame.from_ndarray(packed[:, start : start + 4096], format="s16", layout=layout)
            frame.sample_rate = rate_hz
            position = start // frames.shape[1]
            frame.pts = position + (hole_samples if position >= hole_start else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
