"""Each clip ends right after its last word: is that word still shown?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_runtime.bench_speech import SpeechClip, normalize

from ..table import Row
from .child import read_lines, text_of, transcribe
from .part import Part, Settings
from .sound import cut_after_last_word, read_samples, write_wav

HOW = (
    "Every clip is cut after the last 10 ms that are louder than 35 dB below its loudest, and heard live. Its"
    " last word counts as shown where the transcript ends with the script's last word, or with that of the"
    " whole clip, heard live as well."
)


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("cut")
    missing, total = [], 0
    for language in settings.languages:
        clips = settings.of_language(language)[: 3 if settings.quick else None]
        missing += _missing(settings, folder, clips)
        total += len(clips)
    names = [f"{clip.language}/{clip.path.stem}" for clip in missing]
    row = Row(
        "cut: clips whose last word is missing",
        len(missing),
        f"of {total}",
        most=0,
        note=", ".join(names[:4]),
    )
    return Part("cut", HOW, [row], details={"missing": names, "clips": total})


def _missing(settings: Settings, folder: Path, clips: Sequence[SpeechClip]) -> list[SpeechClip]:
    language = clips[0].language
    cuts = []
    for clip in clips:
        path = settings.subfolder(f"cut/{language}") / clip.path.name
        write_wav(path.with_suffix(".wav"), [cut_after_last_word(read_samples(clip.path))])
        cuts.append(path.with_suffix(".wav"))
    last = _last_words(settings, folder, language, cuts, "cut")
    other = [clip for clip, word in zip(clips, last, strict=True) if word != _last(clip.text, language)]
    if not other:
        return []
    uncut = _last_words(settings, folder, language, [clip.path for clip in other], "uncut")
    known = {clip.path: word for clip, word in zip(clips, last, strict=True)}
    return [clip for clip, word in zip(other, uncut, strict=True) if known[clip.path] != word]


def _last_words(
    settings: Settings, folder: Path, language: str, paths: Sequence[Path], name: str
) -> list[str]:
    out = folder / language / name
    transcribe(paths, out, settings.model, "--stream", "--language", language)
    return [_last(text_of(read_lines(out / f"{path.stem}.jsonl")), language) for path in paths]


def _last(text: str, language: str) -> str:
    return (normalize(text, language).split() or [""])[-1]
