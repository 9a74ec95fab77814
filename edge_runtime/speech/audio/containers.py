"""Recognition of sound files by how they begin, where raw samples would do as well."""

from __future__ import annotations

from collections.abc import Callable

HEAD_BYTES = 16  # enough for every mark but that of frames
MOST_HEAD_BYTES = 8_192  # three frames of MP3 or AAC, the longest there are

_MARKS = {
    (0, b"RIFF"): "WAV",
    (0, b"RF64"): "RF64",
    (0, b"BW64"): "BW64",
    (0, b"riff\x2e\x91\xcf\x11"): "Wave64",
    (0, b"fLaC"): "FLAC",
    (0, b"OggS"): "Ogg",
    (0, b"ID3\x02"): "MP3",
    (0, b"ID3\x03"): "MP3",
    (0, b"ID3\x04"): "MP3",
    (0, b".snd"): "AU",
    (0, b"caff\x00\x01"): "CAF",
    (0, b"\x1a\x45\xdf\xa3"): "Matroska or WebM",
    (0, b"#!AMR"): "AMR",
    (0, b"wvpk"): "WavPack",
    (0, b"MAC \x96\x0f"): "Monkey's Audio",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "WMA",
    (4, b"ftyp"): "MP4",
    (4, b"moov"): "QuickTime",
    (4, b"wide"): "QuickTime",
    (8, b"AIFF"): "AIFF",
    (8, b"AIFC"): "AIFF",
}
_BITRATES = {  # kbit/s, by the header's field; source: ISO 11172-3 and 13818-3, layer III
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44_100, 48_000, 32_000)
_FRAMES = 3  # one after the other: samples do not do that by chance

FrameBytes = Callable[[bytes, int], int]


def container_kind(head: bytes) -> str | None:
    """The kind of file that begins so; None for samples. Give HEAD_BYTES, or MOST_HEAD_BYTES where
    may_be_frames() holds, or all there is."""
    for (place, mark), kind in _MARKS.items():
        if head[place : place + len(mark)] == mark:
            return kind
    if _are_frames(head, _mp3_frame_bytes):
        return "MP3"
    return "AAC" if _are_frames(head, _adts_frame_bytes) else None


def may_be_frames(head: bytes) -> bool:
    """Whether only more bytes tell a file of frames from samples."""
    return bool(_mp3_frame_bytes(head, 0) or _adts_frame_bytes(head, 0))


def _are_frames(data: bytes, frame_bytes: FrameBytes) -> bool:
    place = 0
    for _ in range(_FRAMES):
        length = frame_bytes(data, place)
        if not length:
            return False
        place += length
    return True


def _mp3_frame_bytes(data: bytes, place: int) -> int:
    """Layer III; 0 where no frame begins."""
    if len(data) < place + 4 or data[place] != 0xFF or data[place + 1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = data[place + 1] >> 3 & 3, data[place + 2] >> 4, data[place + 2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    kbit_s = _BITRATES[3 if version == 3 else 2][bitrate]
    rate_hz = _RATES_HZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return (144 if version == 3 else 72) * kbit_s * 1_000 // rate_hz + (data[place + 2] >> 1 & 1)


def _adts_frame_bytes(data: bytes, place: int) -> int:
    """0 where no frame begins. Source: ISO 13818-7, adts_fixed_header."""
    if len(data) < place + 7 or data[place] != 0xFF or data[place + 1] & 0xF6 != 0xF0:
        return 0
    length = (data[place + 3] & 3) << 11 | data[place + 4] << 3 | data[place + 5] >> 5
    return length if length > 7 and data[place + 2] >> 2 & 15 < 13 else 0
