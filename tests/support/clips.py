"""Real speech with what is said in it, as scripts/speech_clips.sh fetches it; and word error rates."""

from __future__ import annotations

import json
import re
import unicodedata
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.speech.audio import Samples


@dataclass(frozen=True)
class Clip:
    name: str
    language: str
    text: str
    samples: Samples  # (n,) at 16 kHz


def read_clips(folder: Path) -> list[Clip]:
    lines = (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()
    return [_read(json.loads(line)) for line in lines]


def _read(entry: dict[str, str]) -> Clip:
    path = Path(entry["path"])
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    return Clip(path.stem, entry["language"], entry["text"], samples)


def words(text: str) -> list[str]:
    """Without capitals, accents and punctuation: the scripts are not consistent in them."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("'", ""))
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Of (what was said, what was understood): words put in, left out or changed, for each word said."""
    errors = said = 0
    for reference, hypothesis in pairs:
        errors += _distance(words(reference), words(hypothesis))
        said += len(words(reference))
    return errors / said


def _distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for number, word in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, candidate in enumerate(other, 1):
            changed = before + (word != candidate)
            before, row[place] = row[place], min(changed, row[place] + 1, row[place - 1] + 1)
    return row[-1]
