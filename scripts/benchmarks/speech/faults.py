"""Sounds in which speech tends to disappear: repetitions, several languages, quiet, phase, damage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_runtime.bench.speech import SpeechClip, count_errors, normalize
from edge_runtime.errors import AudioError
from edge_runtime.speech.audio import ArraySource, AudioSource, Samples
from edge_runtime.speech.runtime import SpeechRuntime

from ..table import Row
from .part import Part, Settings
from .sound import read_samples, write_wav

HOW = (
    "Sounds made from the clips: a sentence three and six times before another one; English, French and"
    " Italian in one recording, language detected; 14 English clips 50 and 60 dB lower, in stereo of"
    " opposite phase; and as FLAC of which a fifth in the middle is noise. Words kept are those of the script"
    " that are written down, in their order; of the damaged recording, those outside the hole are expected."
)
_RATE_HZ = 16_000
_LEAST = 0.75  # of the words, everywhere
_ENGLISH = 14
_AGAIN = (("vm-nomore", "queue-periodic-announce"), ("confbridge-unlocked", "vm-newuser"))
_LANGUAGES = ("queue-periodic-announce", "dictate_enter_filename", "vm-invalid-password")


class Fault(NamedTuple):
    name: str
    source: AudioSource | Path
    said: Sequence[SpeechClip]
    language: str | None = "en"


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("faults")
    rows = []
    with SpeechRuntime.open(settings.model) as runtime:
        for fault in _faults(settings, folder):
            said, kept = _count(fault, _hear(runtime, fault))
            note = f"{kept} of {said} words"
            rows.append(Row(f"faults: {fault.name}", kept / said, "kept", least=_LEAST, note=note))
    return Part("faults", HOW, rows)


def _faults(settings: Settings, folder: Path) -> Iterator[Fault]:
    english = settings.of_language("en")
    named = {clip.path.stem: clip for clip in english}
    for again, then in _AGAIN:
        for times in (3, 6):
            clips = [*[named[again]] * times, named[then]]
            yield Fault(f"{again} {times} times, then {then}", _in_a_row(clips, 0.1), clips)
    spoken = [
        clip
        for language, name in zip(("en", "fr", "it"), _LANGUAGES, strict=True)
        for clip in settings.of_language(language)
        if clip.path.stem == name
    ]
    for pause_s in (1.0, 0.6):
        source = _in_a_row(spoken, pause_s)
        yield Fault(f"three languages, {pause_s:g} s between them", source, spoken, None)
    talk = english[:_ENGLISH]
    sound = _joined(talk, 0.75)
    for lower_db in (50, 60):
        yield Fault(f"{lower_db} dB lower", ArraySource(sound * np.float32(10 ** (-lower_db / 20))), talk)
    yield Fault("opposite phase", ArraySource(np.stack((sound, -sound), axis=1)), talk)
    yield _damaged(folder, talk)


def _damaged(folder: Path, clips: Sequence[SpeechClip]) -> Fault:
    """A fifth of the file is noise. The clips that it touches are not expected."""
    import av

    path = folder / "damaged.flac"
    write_wav(folder / "whole.wav", [_joined(clips, 0.75)])
    with av.open(str(folder / "whole.wav")) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("flac", rate=_RATE_HZ, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    start, end = len(data) * 2 // 5, len(data) * 3 // 5
    data[start:end] = np.random.default_rng(5).bytes(end - start)
    path.write_bytes(data)
    lengths = np.cumsum([len(read_samples(clip.path)) + 0.75 * _RATE_HZ for clip in clips])
    shares = [0.0, *(lengths / lengths[-1])]
    outside = [
        clip for n, clip in enumerate(clips) if shares[n + 1] < 0.35 or shares[n] > 0.65
    ]  # bytes are not seconds: a twentieth of leeway
    return Fault("damage in the middle", path, outside)


def _in_a_row(clips: Sequence[SpeechClip], pause_s: float) -> ArraySource:
    return ArraySource(_joined(clips, pause_s))


def _joined(clips: Sequence[SpeechClip], pause_s: float) -> Samples:
    pause = np.zeros(round(pause_s * _RATE_HZ), np.float32)
    return np.concatenate([part for clip in clips for part in (read_samples(clip.path), pause)])


def _hear(runtime: SpeechRuntime, fault: Fault) -> str:
    texts = []
    try:
        for event in runtime.transcribe(fault.source, stream=True, language=fault.language):
            texts.append(event.text)
    except AudioError:  # damage is told after all that could be read
        pass
    return " ".join(texts)


def _count(fault: Fault, text: str) -> tuple[int, int]:
    """-> words that were said, and those of them that were written. What is written besides counts for
    nothing here: that is the word error rate's."""
    said = " ".join(normalize(clip.text, "fr" if fault.language is None else "en") for clip in fault.said)
    heard = normalize(text, "fr" if fault.language is None else "en")
    errors = count_errors(said, heard)
    return errors.said, errors.said - errors.substituted - errors.deleted
