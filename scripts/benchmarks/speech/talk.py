"""Six minutes of English, one speaker's clips one after the other, live and as a whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_runtime.bench.speech import SpeechClip, WordErrors, count_errors, find_loops, normalize

from ..table import Row
from .child import read_lines, text_of, transcribe
from .clip_set import goal_rows
from .part import Part, Settings
from .sound import make_talk
from .subtitles import read_subtitles

HOW = (
    "English clips with pauses of 0.3 to 1.5 s of faint noise between them, from the first again until six"
    " minutes are full; `edge-runtime transcribe --stream` and `transcribe`, a process each. Peak memory is"
    " the live process's, Python and libraries included."
)
_SECONDS, _QUICK_SECONDS = 360.0, 30.0
_PEAK_MB = 300.0


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("talk")
    wav = folder / "talk.wav"
    seconds, clips = make_talk(
        wav, settings.of_language("en"), _QUICK_SECONDS if settings.quick else _SECONDS
    )
    live, whole = (_hear(settings, folder, wav, way) for way in ("live", "whole"))
    stats = live[-1]
    found = {
        "live": _figures(clips, text_of(live)) | {"cpu_s_per_audio_s": stats["cpu_s_per_audio_s"]},
        "whole": _figures(clips, text_of(whole)),
        **{name: stats[name] for name in ("commit_latency_s", "first_display_s", "dropped_s")},
    }
    rows = goal_rows("talk", found)
    rows += [Row("talk: peak memory of the live process", stats["peak_bytes"] / 1e6, "MB", most=_PEAK_MB)]
    rows += [_subtitle_row(folder / "live" / f"talk.{kind}") for kind in ("srt", "vtt")]
    return Part("talk", HOW, rows, details={"seconds": seconds, "stats": stats, **found})


def _hear(settings: Settings, folder: Path, wav: Path, way: str) -> list[dict[str, Any]]:
    options = ("--language", "en", "--words", *(["--stream"] if way == "live" else []))
    transcribe([wav], folder / way, settings.model, *options, formats="jsonl,srt,vtt")
    return read_lines(folder / way / f"{wav.stem}.jsonl")


def _figures(clips: list[SpeechClip], text: str) -> dict[str, Any]:
    said, heard = (normalize(each, "en") for each in (" ".join(clip.text for clip in clips), text))
    errors: WordErrors = count_errors(said, heard)
    return {
        "word_error_rate": errors.rate,
        "words": errors.said,
        "substituted": errors.substituted,
        "deleted": errors.deleted,
        "inserted": errors.inserted,
        "loops": find_loops(heard, said),
    }


def _subtitle_row(path: Path) -> Row:
    faults = read_subtitles(path).faults
    return Row(
        f"talk: faults in {path.suffix[1:].upper()}", len(faults), "", most=0, note="; ".join(faults[:2])
    )
