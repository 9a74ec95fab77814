"""Each clip ends right after its last word: is that word still shown?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

from edge_runtime.bench.speech import SpeechClip, normalize

from ..table import Row
from .child import read_lines, side_by_side, text_of, transcribe
from .part import Part, Settings
from .sound import cut_after_last_word, read_samples, write_wav

HOW = (
    "Every clip is cut after the last 10 ms that are louder than 35 dB below its loudest, and heard live. Its"
    " last word counts as shown where the transcript ends with the script's last word, or with that of the"
    " whole clip heard live, or with one spelled almost like either: seven tenths of the letters."
)
_ALIKE = 0.7


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("cut")
    groups = settings.groups()
    found = side_by_side(lambda clips: _ends(settings, folder, clips), groups)
    ends = [end for group in found for end in group]
    missing = [end for end in ends if not end.is_shown]
    note = ", ".join(map(str, missing[:3])) or f"of {len(ends)}"
    row = Row("cut: clips whose last word is missing", len(missing), "clips", most=0, note=note)
    other = [str(end) for end in ends if end.is_shown and end.shown not in end.wanted]
    return Part("cut", HOW, [row], details={"missing": list(map(str, missing)), "spelled otherwise": other})


@dataclass(frozen=True)
class _End:
    clip: SpeechClip
    shown: str  # the last word after the cut
    wanted: tuple[str, ...]  # the script's, and that of the whole clip

    @property
    def is_shown(self) -> bool:
        return any(SequenceMatcher(None, self.shown, word).ratio() >= _ALIKE for word in self.wanted)

    def __str__(self) -> str:
        return f"{self.clip.language}/{self.clip.path.stem}: {self.shown!r}, not {self.wanted[-1]!r}"


def _ends(settings: Settings, folder: Path, clips: Sequence[SpeechClip]) -> list[_End]:
    language = clips[0].language
    paths = [settings.subfolder(f"cut/{language}") / f"{clip.path.stem}.wav" for clip in clips]
    for clip, path in zip(clips, paths, strict=True):
        write_wav(path, [cut_after_last_word(read_samples(clip.path))])
    shown = _last_words(settings, folder, language, paths, "cut")
    ends = [_End(clip, word, (_last(clip.text, language),)) for clip, word in zip(clips, shown, strict=True)]
    other = [end for end in ends if end.shown not in end.wanted]
    whole = _last_words(settings, folder, language, [end.clip.path for end in other], "whole")
    known = {end.clip: word for end, word in zip(other, whole, strict=True)}
    return [replace(end, wanted=(*end.wanted, *filter(None, [known.get(end.clip)]))) for end in ends]


def _last_words(
    settings: Settings, folder: Path, language: str, paths: Sequence[Path], name: str
) -> list[str]:
    if not paths:
        return []
    out = folder / language / name
    transcribe(paths, out, settings.model, "--stream", "--language", language, "--threads", "1")
    return [_last(text_of(read_lines(out / f"{path.stem}.jsonl")), language) for path in paths]


def _last(text: str, language: str) -> str:
    return (normalize(text, language).split() or [""])[-1]
