"""A minute each of what is no speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_runtime.speech.audio import Samples

from ..table import Row
from .child import read_lines, text_of, transcribe
from .part import Part, Settings
from .sound import hum, room, write_wav

HOW = "60 s each of digital silence, white noise at two levels (RMS), and mains hum; `transcribe --stream`."
_SECONDS = 60.0
_CPU = 0.02  # seconds for one of sound: what listening to it for speech may take


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("quiet")
    sounds = dict(_sounds())
    paths = [folder / f"{name}.wav" for name in sounds]
    for path in paths:
        write_wav(path, [sounds[path.stem]])
    transcribe(paths, folder, settings.model, "--stream")
    return Part("quiet", HOW, [row for path in paths for row in _rows(path)])


def _sounds() -> Iterator[tuple[str, Samples]]:
    random = np.random.default_rng(7)
    yield "silence", np.zeros(round(_SECONDS * 16_000), np.float32)
    yield "noise-0.005", room(_SECONDS, random, 0.005)
    yield "noise-0.1", room(_SECONDS, random, 0.1)
    yield "hum", hum(_SECONDS)


def _rows(path: Path) -> list[Row]:
    lines = read_lines(path.with_suffix(".jsonl"))
    text, cost = text_of(lines), lines[-1]["cpu_s_per_audio_s"]
    return [
        Row(f"{path.stem}: words", len(text.split()), "", most=0, note=text[:60]),
        Row(f"{path.stem}: CPU for a second of sound", cost, "s", most=_CPU),
    ]
