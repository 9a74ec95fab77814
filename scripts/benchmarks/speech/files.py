"""Every clip's transcript in every format: do others read it, and are the words where they were?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from edge_runtime.bench.speech import SpeechClip, normalize

from ..table import Row
from .child import read_lines, side_by_side, transcribe, words_of
from .part import Part, PartSkipped, Settings, reference_folder
from .subtitles import read_subtitles

HOW = (
    "`edge-runtime transcribe --format srt,vtt,jsonl --words` of every clip. Subtitles are read by the"
    " packages srt and webvtt-py: what does not parse, overlaps, or lasts no time is a fault. Words are"
    " compared where faster-whisper (F32, word_timestamps) wrote the same ones for a clip."
)
_APART_S = 0.2


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("files")
    groups = settings.groups()
    side_by_side(lambda clips: _transcribe(settings, folder, clips), groups)
    clips = [clip for group in groups for clip in group]
    rows = [*_subtitle_rows(folder, clips), *_word_rows(folder, clips)]
    return Part("files", HOW, rows)


def _transcribe(settings: Settings, folder: Path, clips: Sequence[SpeechClip]) -> None:
    paths, language = [clip.path for clip in clips], clips[0].language
    options = ("--language", language, "--words", "--threads", "1")
    transcribe(paths, folder / language, settings.model, *options, formats="srt,vtt,jsonl")


def _subtitle_rows(folder: Path, clips: list[SpeechClip]) -> Iterator[Row]:
    for kind in ("srt", "vtt"):
        found = [read_subtitles(_path(folder, clip, kind)) for clip in clips]
        faults = [fault for each in found for fault in each.faults]
        note = "; ".join(faults[:2]) or f"{sum(len(each.cues) for each in found)} cues of {len(clips)} files"
        yield Row(f"files: faults in {kind.upper()}", len(faults), "", most=0, note=note)


def _word_rows(folder: Path, clips: list[SpeechClip]) -> Iterator[Row]:
    try:
        answers = json.loads((reference_folder() / "answers.json").read_text(encoding="utf-8"))
    except (PartSkipped, OSError) as error:
        yield Row("files: words compared with faster-whisper", 0, "", least=1, note=str(error))
        return
    pairs = [pair for clip in clips if str(clip.path) in answers for pair in _pairs(folder, clip, answers)]
    if not pairs:
        yield Row("files: words compared with faster-whisper", 0, "", least=1, note="it wrote none of ours")
        return
    for what, place in (("start", 1), ("end", 2)):
        apart_s = median(abs(ours[f"{what}_s"] - theirs[place]) for ours, theirs in pairs)
        note = f"{len(pairs)} words"
        yield Row(
            f"files: word {what}s against faster-whisper's, median", apart_s, "s", most=_APART_S, note=note
        )


def _pairs(
    folder: Path, clip: SpeechClip, answers: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    ours = words_of(read_lines(_path(folder, clip, "jsonl")))
    theirs = answers[str(clip.path)]["words"]
    same = [normalize(word["text"], clip.language) for word in ours] == [
        normalize(word[0], clip.language) for word in theirs
    ]
    return zip(ours, theirs, strict=True) if same else iter(())


def _path(folder: Path, clip: SpeechClip, kind: str) -> Path:
    return folder / clip.language / f"{clip.path.stem}.{kind}"
