"""Sound files: every format, every kind of damage, any length."""

from __future__ import annotations

import os
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.sounds import as_int16, joined, sine, wav_bytes, write_sound

from edge_runtime.errors import AudioFormatUnsupported
from edge_runtime.speech.audio import AudioBlock, AudioFile

# ending: (codec, rate); Opus knows no 44.1 kHz
FORMATS = {
    "wav": ("pcm_s16le", 44_100),
    "flac": ("flac", 44_100),
    "mp3": ("libmp3lame", 44_100),
    "ogg": ("libopus", 48_000),
    "m4a": ("aac", 44_100),
}


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tone of 10 s in every format."""
    folder = tmp_path_factory.mktemp("sounds")
    return {
        ending: write_sound(folder / f"tone.{ending}", sine(10.0, rate_hz), rate_hz, codec)
        for ending, (codec, rate_hz) in FORMATS.items()
    }


def read_until_error(path: Path) -> tuple[list[AudioBlock], AudioFormatUnsupported | None]:
    """What came before the error, if there was one, and the error."""
    blocks: list[AudioBlock] = []
    try:
        for block in AudioFile(path):
            blocks.append(block)  # extend() would lose them at the error
    except AudioFormatUnsupported as error:
        return blocks, error
    return blocks, None


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_its_sound_at_16_khz(ending: str, ten_seconds: dict[str, Path]) -> None:
    file = AudioFile(ten_seconds[ending])
    assert (file.rate_hz, file.channels) == (FORMATS[ending][1], 1)
    assert file.duration_s == pytest.approx(10.0, abs=0.1)
    found = joined(list(file))
    assert len(found) == pytest.approx(160_000, abs=1_600)
    middle = found[40_000:120_000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * 16_000 / len(middle) == pytest.approx(440, abs=1)
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_a_file_can_be_read_again(ten_seconds: dict[str, Path]) -> None:
    file = AudioFile(ten_seconds["flac"])
    np.testing.assert_array_equal(joined(list(file)), joined(list(file)))


def test_lossless_sound_at_16_khz_is_not_touched(tmp_path: Path, rng: np.random.Generator) -> None:
    samples = as_int16(rng.uniform(-1, 1, 20_001).astype(np.float32))
    path = tmp_path / "noise.wav"
    path.write_bytes(wav_bytes(samples, 16_000))
    np.testing.assert_array_equal(joined(list(AudioFile(path))), samples / np.float32(32768))


def test_stereo_is_mixed(tmp_path: Path) -> None:
    both = np.stack((sine(1.0, 16_000), sine(1.0, 16_000) / 2), axis=1)
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav_bytes(as_int16(both), 16_000))
    np.testing.assert_allclose(joined(list(AudioFile(path))), sine(1.0, 16_000) * 0.75, atol=1e-4)


def test_float_files_beyond_full_scale_stay_within_one(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    path.write_bytes(wav_bytes(np.array([3.0, -3.0, np.nan, 0.25], np.float32), 16_000))
    assert joined(list(AudioFile(path))).tolist() == [1.0, -1.0, 0.0, 0.25]


KINDS = {"pcm_u8": "u8", "pcm_s16le": "s16", "pcm_s24le": "s32", "pcm_s32le": "s32"}
KINDS |= {"pcm_f32le": "flt", "pcm_f64le": "dbl"}


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("codec", KINDS)
def test_a_plain_wav_is_read_as_pyav_reads_it_and_without_it(
    codec: str, channels: int, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 bits and more than two channels come in the extensible format."""
    path = write_noise(tmp_path / "noise.wav", codec, channels, rng)
    monkeypatch.setattr("edge_runtime.speech.audio.files.plain_wav", lambda file: None)
    theirs = AudioFile(path)
    sound = joined(list(theirs))
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "av", None)
    ours = AudioFile(path)
    np.testing.assert_array_equal(joined(list(ours)), sound)
    for name in ("codec", "rate_hz", "channels", "duration_s"):
        assert getattr(ours, name) == getattr(theirs, name), name


def write_noise(path: Path, codec: str, channels: int, rng: np.random.Generator) -> Path:
    import av

    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    noise = rng.uniform(-1, 1, (1, 48_000 * channels))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16_000, layout=layout)
        stream.format = KINDS[codec]
        frame = av.AudioFrame.from_ndarray(as_kind(noise, KINDS[codec]), format=KINDS[codec], layout=layout)
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def as_kind(noise: NDArray[np.float64], kind: str) -> NDArray[Any]:
    if kind in ("flt", "dbl"):
        return noise.astype({"flt": np.float32, "dbl": np.float64}[kind])
    if kind == "u8":
        return (noise * 127 + 128).astype(np.uint8)
    dtype = {"s16": np.int16, "s32": np.int32}[kind]
    return (noise * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(20, 2, id="Microsoft's ADPCM"),
        pytest.param(34, 20, id="20 bits in 16"),
        pytest.param(32, 3, id="frames of 3 bytes"),
        pytest.param(28, 1, id="another byte rate"),
    ],
)
def test_a_wav_that_is_not_plain_is_left_to_pyav(
    place: int, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(wav_bytes(as_int16(sine(1.0, 16_000)), 16_000))
    struct.pack_into("<H", data, place, value)
    path = tmp_path / "odd.wav"
    path.write_bytes(data)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioFormatUnsupported, match="need the package av"):
        AudioFile(path)


def test_a_wav_that_is_longer_than_its_header_says_is_read_to_its_end(tmp_path: Path) -> None:
    """A recorder that lost its power: the length is the one of a moment before."""
    path = tmp_path / "crashed.wav"
    path.write_bytes(wav_bytes(as_int16(sine(3.0, 16_000)), 16_000, data_bytes=32_000))
    blocks, error = read_until_error(path)
    assert error is None
    assert len(joined(blocks)) == 48_000
    assert AudioFile(path).duration_s == 3.0


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("shift", [0, 8], ids=["at the bottom", "at the top"])
def test_24_bits_in_32_are_read_wherever_they_are(
    extensible: bool, shift: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    tone = sine(1.0, 16_000)
    values = np.left_shift((tone * (2**23 - 1)).round().astype("<i4"), shift)
    fields = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else 1, 1, 16_000, 64_000, 4, 32 if extensible else 24
    )
    if extensible:
        fields += struct.pack("<HHIH", 22, 24, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVEfmt " + struct.pack("<I", len(fields)) + fields
    body += struct.pack("<4sI", b"data", values.nbytes) + values.tobytes()
    path = tmp_path / "wide.wav"
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    np.testing.assert_allclose(joined(list(AudioFile(path))), tone, atol=1e-5)


def test_chunks_after_the_sound_are_not_heard(tmp_path: Path) -> None:
    data = wav_bytes(as_int16(sine(1.0, 16_000)), 16_000)
    path = tmp_path / "tagged.wav"
    path.write_bytes(data + struct.pack("<4sI", b"LIST", 4_000) + b"\x7f" * 4_000)
    assert len(joined(list(AudioFile(path)))) == 16_000


# --- what is no sound ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"Dear diary,\n" * 40, r"it begins with b'Dear dia'", id="text"),
        pytest.param(b"GGUF" + bytes(600), r"it begins with b'GGUF", id="model"),
        pytest.param(wav_bytes(np.zeros(0, np.int16), 16_000), r"there is no sound in it", id="header only"),
        pytest.param(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n", "it begins with", id="playlist"
        ),
        pytest.param(b"ffconcat version 1.0\nfile tone.wav\n", "it begins with b'ffconcat'", id="list"),
    ],
)
def test_what_is_no_sound_is_named_with_what_it_is(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "thing.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFormatUnsupported, match=found) as caught:
        list(AudioFile(path))
    assert str(caught.value).startswith(str(path))
    assert "ffmpeg -i" in caught.value.hint


def test_a_missing_file_a_folder_and_a_closed_file_say_so(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "none.wav", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(AudioFormatUnsupported, match=f"cannot be opened: {found}"):
            AudioFile(path)


def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(AudioFormatUnsupported, match="without a sound track"):
        AudioFile(path)


def test_a_rate_that_nothing_records_at_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    path.write_bytes(wav_bytes(np.zeros(100, np.int16), 3))
    with pytest.raises(AudioFormatUnsupported, match="a rate of 3 Hz"):
        AudioFile(path)


def test_without_pyav_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "any.flac"
    path.write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(AudioFormatUnsupported, match="need the package av") as caught:
        AudioFile(path)
    assert 'pip install "edge-runtime[speech]"' in caught.value.hint


# --- what is cut or damaged ------------------------------------------------------------


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_a_cut_file_gives_what_is_there_and_then_says_what_is_missing(
    ending: str, ten_seconds: dict[str, Path], tmp_path: Path
) -> None:
    data = ten_seconds[ending].read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(data[: len(data) // 2])
    blocks, error = read_until_error(path)
    assert len(joined(blocks)) == pytest.approx(80_000, abs=8_000)
    assert "the header promises 10.0 s" in str(error)


def test_an_m4a_that_was_never_finished_says_what_is_missing(
    ten_seconds: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "cut.m4a"
    path.write_bytes(ten_seconds["m4a"].read_bytes()[:20_000])
    with pytest.raises(AudioFormatUnsupported, match="whose index is missing"):
        AudioFile(path)


def test_a_cut_ogg_gives_what_is_there(ten_seconds: dict[str, Path], tmp_path: Path) -> None:
    data = ten_seconds["ogg"].read_bytes()
    path = tmp_path / "cut.ogg"
    path.write_bytes(data[: len(data) * 3 // 4])
    assert 16_000 < len(joined(list(AudioFile(path)))) < 150_000


@pytest.mark.parametrize("ending", ["flac", "m4a", "ogg", "mp3", "aac", "mka"])
def test_damage_in_the_middle_is_skipped_and_named_and_moves_nothing(
    ending: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    codec, rate_hz = {"mka": ("flac", 44_100), "aac": ("aac", 44_100), **FORMATS}[ending]
    path = write_sound(tmp_path / f"damaged.{ending}", sine(20.0, rate_hz), rate_hz, codec)
    data = bytearray(path.read_bytes())
    start, end = len(data) * 2 // 5, len(data) * 3 // 5
    data[start:end] = rng.bytes(end - start)
    path.write_bytes(data)
    blocks, error = read_until_error(path)
    joined(blocks)
    # Of AAC alone, FFmpeg takes some of the noise for frames, and no time stamp tells.
    assert blocks[-1].end_sample == pytest.approx(320_000, abs=48_000 if ending == "aac" else 12_000)
    dropped = sum(block.dropped_samples for block in blocks)
    assert 24_000 < dropped < 120_000
    assert error is not None
    assert "of sound are lost" in str(error)
    assert error.facts["lost_s"] == pytest.approx(dropped / 16_000, abs=0.1)


def test_a_pause_in_a_recording_keeps_its_place(tmp_path: Path) -> None:
    """A recorder that was paused leaves a hole in the time stamps; subtitles go by those."""
    path = write_sound(tmp_path / "paused.mkv", sine(4.0, 16_000), 16_000, "flac", hole=(2.0, 3.0))
    blocks = list(AudioFile(path))
    assert len(joined(blocks)) == 64_000
    [after] = [block for block in blocks if block.dropped_samples]
    assert after.start_sample == pytest.approx(80_000, abs=4_096)
    assert blocks[-1].end_sample == pytest.approx(7 * 16_000, abs=32)


def test_sound_that_sets_in_late_keeps_its_place(tmp_path: Path) -> None:
    """A film whose sound begins after its picture: shorter than the time before it."""
    path = write_film(tmp_path / "late.mp4", sound_s=2.0, picture_s=8.0, offset_s=5.0)
    file = AudioFile(path)
    blocks = list(file)
    assert blocks[0].start_sample == pytest.approx(80_000, abs=1_600)
    assert blocks[-1].end_sample == pytest.approx(7 * 16_000, abs=1_600)
    assert file.duration_s == pytest.approx(7.0, abs=0.2)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_sound_that_ends_before_the_picture_is_all_there(ending: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / f"film.{ending}", sound_s=3.0, picture_s=8.0)
    assert len(joined(list(AudioFile(path)))) == pytest.approx(48_000, abs=3_200)


def test_mp3_files_that_were_put_together_are_all_there(tmp_path: Path) -> None:
    parts = [
        write_sound(tmp_path / f"{n}.mp3", sine(2.0, rate_hz), rate_hz, "libmp3lame").read_bytes()
        for n, rate_hz in enumerate((24_000, 44_100))
    ]
    path = tmp_path / "both.mp3"
    path.write_bytes(b"".join(parts))
    blocks, error = read_until_error(path)
    assert error is None
    assert len(joined(blocks)) == pytest.approx(64_000, abs=3_200)


@pytest.mark.parametrize("second_bytes", [1, 8_000, 64_000])
def test_a_wrong_byte_rate_is_no_sign_of_missing_sound(tmp_path: Path, second_bytes: int) -> None:
    data = bytearray(wav_bytes(as_int16(sine(2.0, 16_000)), 16_000))
    struct.pack_into("<I", data, 28, second_bytes)
    path = tmp_path / "odd.wav"
    path.write_bytes(data)
    blocks, error = read_until_error(path)
    assert error is None
    assert len(joined(blocks)) == 32_000


@pytest.mark.parametrize(
    ("track", "hertz"), [(None, 300), (1, 300), (2, 600), ("2", 600), ("fr", 600), ("eng", 300)]
)
def test_a_track_is_chosen_by_number_or_language(tmp_path: Path, track: int | str | None, hertz: int) -> None:
    file = AudioFile(write_two_tracks(tmp_path / "film.mkv"), track=track)
    sound = joined(list(file))
    assert np.abs(np.fft.rfft(sound[:16_000])).argmax() == hertz


def test_a_track_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        AudioFormatUnsupported, match=r"'de' is none of its sound tracks: 1 \(eng\), 2 \(fre\)"
    ):
        AudioFile(write_two_tracks(tmp_path / "film.mkv"), track="de")


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_does_not_know_its_length_and_is_whole(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(wav_bytes(as_int16(sine(1.0, 16_000)), 16_000, data_bytes=claimed))
    assert len(joined(list(AudioFile(path)))) == 16_000


def write_film(path: Path, *, sound_s: float, picture_s: float, offset_s: float = 0.0) -> Path:
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for _ in range(round(picture_s * 10)):
            container.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(picture.encode(None))
        samples = as_int16(sine(sound_s, 16_000)).reshape(1, -1)
        for start in range(0, samples.shape[1], 1_024):
            frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1_024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start + round(offset_s * 16_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def write_two_tracks(path: Path) -> Path:
    """300 Hz in English, 600 Hz in French."""
    import av

    with av.open(str(path), "w") as container:
        streams = [container.add_stream("flac", rate=16_000, layout="mono") for _ in range(2)]
        for stream, language in zip(streams, ("eng", "fre"), strict=True):
            stream.metadata["language"] = language
        for stream, hertz in zip(streams, (300, 600), strict=True):
            samples = as_int16(sine(1.5, 16_000, hertz)).reshape(1, -1)
            for start in range(0, samples.shape[1], 4_096):
                piece = samples[:, start : start + 4_096]
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts = 16_000, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def test_chunks_before_the_sound_do_not_hide_that_it_is_cut(tmp_path: Path) -> None:
    odd = struct.pack("<4sI", b"LIST", 5) + b"hello\0"  # an odd length is filled up to an even one
    data = wav_bytes(as_int16(sine(2.0, 16_000)), 16_000, before=odd)
    path = tmp_path / "cut.wav"
    path.write_bytes(data[:-32_000])
    blocks, error = read_until_error(path)
    assert len(joined(blocks)) == 16_000
    assert "promises 2.0 s" in str(error)


def test_headers_with_any_damage_end_in_sound_or_in_our_error(
    ten_seconds: dict[str, Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "damaged"
    outcomes = set()
    for ending in FORMATS:
        data = ten_seconds[ending].read_bytes()[:30_000]
        for _ in range(25):
            damaged = bytearray(data)
            for _ in range(rng.integers(1, 6)):
                damaged[rng.integers(0, 200)] = rng.integers(0, 256)
            path.write_bytes(damaged)
            blocks, error = read_until_error(path)
            outcomes.add(error is None)
            assert all(np.abs(block.samples).max(initial=0) <= 1 for block in blocks)
    assert outcomes == {True, False}


# --- what is long ----------------------------------------------------------------------


def long_wav(path: Path, duration_s: int) -> Path:
    """Silence at 16 kHz that takes no disk: a hole in the file."""
    data_bytes = duration_s * 32_000
    head = wav_bytes(np.zeros(0, np.int16), 16_000, data_bytes=data_bytes)
    path.write_bytes(head)
    os.truncate(path, len(head) + data_bytes)
    return path


def test_ten_hours_open_at_once_and_are_read_as_they_are_needed(tmp_path: Path) -> None:
    file = AudioFile(long_wav(tmp_path / "night.wav", 36_000))
    assert file.duration_s == 36_000
    assert next(iter(file)).end_sample == 1_600


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Two minutes would be 7.7 MB."""
    file = AudioFile(long_wav(tmp_path / "long.wav", 120))
    next(iter(file))
    tracemalloc.start()
    try:
        samples = sum(len(block.samples) for block in file)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples == 120 * 16_000
    assert peak_bytes < 1_000_000
