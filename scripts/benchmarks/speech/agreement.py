"""The usual way to make Whisper live, LocalAgreement over faster-whisper, beside ours: the same minute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_runtime.bench.speech import SpeechClip, count_errors, normalize
from edge_runtime.speech.listening import ListenOptions

from ..table import Row
from .child import Finished, read_lines, run_child, text_of, transcribe
from .part import Part, Settings, reference_folder
from .sound import make_talk

HOW = (
    "A minute of the talk, one process each, two threads, the same step, one after the other: ours, and"
    " LocalAgreement-2 over faster-whisper (base, int8, greedy, no second tries, 30 s of context as Whisper"
    " was trained; `local_agreement.py`). CPU is the process's from the first sound to the last, loading left"
    " out."
)
_SECONDS, _QUICK_SECONDS = 60.0, 15.0
_TIMES_LESS = 5.0
_CHILD = Path(__file__).with_name("local_agreement.py")
_HEADS = ["system", "WER", "commit p50", "p90", "p95", "CPU s for 1 s", "with loading", "peak MB"]


def measure(settings: Settings) -> Part:
    reference, folder = reference_folder(), settings.subfolder("agreement")
    wav = folder / "minute.wav"
    length_s = _QUICK_SECONDS if settings.quick else _SECONDS
    seconds, clips = make_talk(wav, settings.of_language("en"), length_s)
    options = ("--stream", "--language", "en", "--threads", "2")
    ours_done = transcribe([wav], folder, settings.model, *options)
    lines = read_lines(wav.with_suffix(".jsonl"))
    ours = {**lines[-1], "text": text_of(lines)}
    python, weights, step_s = reference / "bin" / "python", reference / "whisper-base", ListenOptions().step_s
    theirs_done = run_child([*map(str, (python, _CHILD, weights, wav)), "en", str(step_s)], folder)
    theirs = json.loads(theirs_done.stdout)
    ratio = theirs["cpu_s_per_audio_s"] / ours["cpu_s_per_audio_s"]
    table = [
        _HEADS,
        _cells("edge-runtime", ours, ours_done, clips, seconds),
        _cells("LocalAgreement over faster-whisper", theirs, theirs_done, clips, seconds),
    ]
    row = Row("agreement: CPU of LocalAgreement / ours", ratio, "x", least=_TIMES_LESS)
    whole = Row("agreement: same, loading counted", theirs_done.cpu_s / ours_done.cpu_s, "x")
    return Part("agreement", HOW, [row, whole], table, {"seconds": seconds})


def _cells(
    name: str, found: dict[str, Any], done: Finished, clips: list[SpeechClip], seconds: float
) -> list[str]:
    said = normalize(" ".join(clip.text for clip in clips), "en")
    rate = count_errors(said, normalize(found["text"], "en")).rate or 0.0
    delays = (f"{found['commit_latency_s'][share]:.2f}" for share in ("p50", "p90", "p95"))
    return [
        name,
        f"{100 * rate:.1f} %",
        *delays,
        f"{found['cpu_s_per_audio_s']:.3f}",
        f"{done.cpu_s / seconds:.3f}",
        f"{done.peak_bytes / 1e6:.0f}",
    ]
