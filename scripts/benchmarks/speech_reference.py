"""Whisper base as we convert it, next to CTranslate2 and faster-whisper: reference_speech.sh runs it.

    python -m scripts.benchmarks.speech_reference ANSWERS CLIPS [--report FILE]

Ours hears what they heard: 30 s padded with silence, the language given. Word times are compared
where both wrote the same words.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edge_runtime.catalog.catalog import find_speech_model
from edge_runtime.speech.audio import SPEECH_RATE_HZ
from edge_runtime.speech.recognition.recognizer import Recognition, RecognitionOptions, RecognizedWord
from edge_runtime.speech.whisper import open_recognizer

from .machine import describe_machine
from .table import Row, format_table

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.clips import (  # type: ignore[import-not-found]
    Clip,
    read_clips,
    word_error_rate,
    words,
)

_REPORT = Path(__file__).parent / "reports" / "speech_reference.md"
_SAME_PERCENT, _WER_POINTS, _WORD_TIME_S = 95.0, 0.5, 0.2


@dataclass(frozen=True)
class Compared:
    clip: Clip
    found: Recognition
    cpu_s: float
    answer: dict[str, Any]  # of faster_whisper_answers.py

    @property
    def audio_s(self) -> float:
        return len(self.clip.samples) / SPEECH_RATE_HZ


def compare(answers: Path, clips: Path) -> Iterator[Compared]:
    known = json.loads(answers.read_text(encoding="utf-8"))
    paths = [json.loads(line)["path"] for line in clips.read_text(encoding="utf-8").splitlines()]
    with open_recognizer(find_speech_model(), threads=2) as recognizer:
        for path, clip in zip(paths, read_clips(clips.parent), strict=True):
            options = RecognitionOptions(language=clip.language, words=True, full_context=True)
            started_s = time.process_time()
            found = recognizer.recognize(clip.samples, options)
            cpu_s = time.process_time() - started_s
            yield Compared(clip, found, cpu_s, known[path])
            print(f"{clip.language} {clip.name}: {found.text}", file=sys.stderr)


def make_rows(compared: Sequence[Compared]) -> list[Row]:
    return [
        _same("same text as CTranslate2 in F32", compared, "float32", _SAME_PERCENT),
        _same("same text as CTranslate2 in int8", compared, "int8"),
        _same("same words as CTranslate2 in F32", compared, "float32", by_words=True),
        _between("CTranslate2's int8, same text as its F32", compared),
        *_error_rates(compared),
        *_word_times(compared),
        *_cost(compared),
    ]


def _same(
    what: str, compared: Sequence[Compared], kind: str, least: float | None = None, by_words: bool = False
) -> Row:
    def form(text: str) -> object:
        return words(text) if by_words else text.strip()

    same = sum(form(each.found.text) == form(each.answer[kind]) for each in compared)
    return Row(what, 100 * same / len(compared), "%", least=least, note=f"{same} of {len(compared)} clips")


def _between(what: str, compared: Sequence[Compared]) -> Row:
    same = sum(each.answer["int8"] == each.answer["float32"] for each in compared)
    return Row(what, 100 * same / len(compared), "%", note=f"{same} of {len(compared)} clips")


def _error_rates(compared: Sequence[Compared]) -> Iterator[Row]:
    for language in sorted({each.clip.language for each in compared}):
        chosen = [each for each in compared if each.clip.language == language]
        ours = 100 * word_error_rate((each.clip.text, each.found.text) for each in chosen)
        theirs, quantized = (
            100 * word_error_rate((each.clip.text, each.answer[kind]) for each in chosen)
            for kind in ("float32", "int8")
        )
        note = f"ours {ours:.2f}, CTranslate2 F32 {theirs:.2f}, int8 {quantized:.2f}"
        yield Row(
            f"{language}: word error rate above theirs", ours - theirs, "points", most=_WER_POINTS, note=note
        )


def _word_times(compared: Sequence[Compared]) -> Iterator[Row]:
    pairs = [pair for each in compared for pair in _word_pairs(each)]
    for what, apart_s in (
        ("start", [abs(ours.start_s - theirs.start_s) for ours, theirs in pairs]),
        ("end", [abs(ours.end_s - theirs.end_s) for ours, theirs in pairs]),
    ):
        note = f"{len(pairs)} words; 90 % within {np.quantile(apart_s, 0.9):.2f} s"
        yield Row(
            f"word {what} against faster-whisper, median", median(apart_s), "s", most=_WORD_TIME_S, note=note
        )


def _word_pairs(each: Compared) -> Iterable[tuple[RecognizedWord, RecognizedWord]]:
    ours = each.found.words
    theirs = [RecognizedWord(text, start_s, end_s, 0.0) for text, start_s, end_s in each.answer["words"]]
    same = [words(word.text) for word in ours] == [words(word.text) for word in theirs]
    return zip(ours, theirs, strict=True) if same else ()


def _cost(compared: Sequence[Compared]) -> Iterator[Row]:
    audio_s = sum(each.audio_s for each in compared)
    yield Row("CPU for each second of sound, words timed", sum(e.cpu_s for e in compared) / audio_s, "s")
    for kind in ("float32", "int8"):
        cpu_s = sum(each.answer[f"{kind}_cpu_s"] for each in compared)
        yield Row(f"CTranslate2 in {kind}, without words", cpu_s / audio_s, "s")


def report(rows: list[Row], compared: Sequence[Compared]) -> str:
    missed = sum(1 for row in rows if not row.good)
    verdict = f"{missed} goals missed" if missed else "Every goal is met"
    others = "\n".join(
        f"- {each.clip.language} {each.clip.name}: {each.found.text!r}, in F32 {each.answer['float32']!r}"
        for each in compared
        if each.found.text.strip() != each.answer["float32"].strip()
    )
    return f"""# The converted Whisper base against CTranslate2

{describe_machine()}  
{time.strftime("%Y-%m-%d %H:%M")}: `scripts/reference_speech.sh`

{len(compared)} clips, greedy decoding, 30 s of context, the language given. CPU figures of another program at
work on the machine are too high; the texts are not touched by that.

**{verdict}.**

```
{format_table(rows)}
```

Texts that differ:

{others or "none"}
"""  # noqa: W291 (two spaces end a line in Markdown)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--report", type=Path, default=_REPORT)
    chosen = parser.parse_args(argv)
    compared = list(compare(chosen.answers, chosen.clips))
    rows = make_rows(compared)
    text = report(rows, compared)
    chosen.report.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps({"machine": describe_machine(), "rows": [row.as_json() for row in rows]}))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
